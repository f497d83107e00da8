import { renameKeys, toCamelCase } from "../base/case.ts";
import type { Store } from "./api.ts";
import type { ClientRecord } from "./record.ts";
import { toError } from "./transport.ts";
import type { Transport, TransportRequest } from "./transport.ts";
import { isFields, toRecord, toWireNames } from "./wire.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A late change of a resource whose conflicts a person decides. */
export interface Conflict {
  readonly id: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly deviceId: string;
  /** The version that the change was made of, and the one it met. */
  readonly expectedVersion: number;
  readonly currentVersion: number;
  readonly operation: "update" | "upsert" | "delete";
  readonly data: Fields;
  /** The record as the change knew it; null when that is no longer known. */
  readonly base: Fields | null;
  readonly createdAt: string;
}

/** `local` keeps the record, `remote` takes the late change, `merged` takes `data`, `discard` drops the change. */
export type Resolution =
  | { readonly choice: "local" | "remote" | "discard" }
  | { readonly choice: "merged"; readonly data: Fields };

/** The conflicts that wait for a decision. While somebody subscribes they are kept up to date. */
export interface Conflicts extends Store<readonly Conflict[]> {
  /** Asks the service. Fails without a network: a decision is not queued, because it needs what others did. */
  list(): Promise<readonly Conflict[]>;
  /** Answers the record as it then is; null when it is gone. */
  resolve(id: string, resolution: Resolution): Promise<ClientRecord | null>;
}

function toConflict(row: unknown): Conflict[] {
  if (!isFields(row)) return [];
  const conflict = renameKeys(row, toCamelCase);
  for (const part of ["data", "base"]) {
    const fields = conflict[part];
    if (isFields(fields)) conflict[part] = renameKeys(fields, toCamelCase);
  }
  return [conflict as unknown as Conflict];
}

export function createConflicts(transport: Transport): Conflicts & {
  /** There may be others than before. */
  refresh(): void;
} {
  const listeners = new Set<() => void>();
  let open: readonly Conflict[] = [];
  let asked = 0;
  const set = (next: readonly Conflict[]): void => {
    open = next;
    for (const listener of listeners) listener();
  };

  const ask = async (path: string, request: TransportRequest): Promise<Fields> => {
    const reply = await transport.json(path, request);
    if (reply.isOk) return reply.body;
    throw toError(reply.problem);
  };
  const list = async (): Promise<readonly Conflict[]> => {
    const mine = (asked += 1);
    const found: Conflict[] = [];
    let after: string | undefined;
    do {
      const { conflicts, next_cursor } = await ask("conflicts", { query: { after } });
      if (Array.isArray(conflicts)) found.push(...conflicts.flatMap(toConflict));
      after = typeof next_cursor === "string" ? next_cursor : undefined;
    } while (after !== undefined);
    if (mine === asked) set(found);
    return found;
  };
  const refresh = (): void => {
    if (listeners.size > 0) void list().catch(() => {});
  };

  return {
    getSnapshot: () => open,
    subscribe: (listener) => {
      const isFirst = listeners.size === 0;
      listeners.add(listener);
      if (isFirst) refresh();
      return () => void listeners.delete(listener);
    },
    list,
    resolve: async (id, resolution) => {
      const data = "data" in resolution ? { data: toWireNames(resolution.data) } : {};
      const body = await ask(`conflicts/${id}/resolve`, { body: { ...resolution, ...data } });
      set(open.filter((one) => one.id !== id));
      return toRecord(body["resource"]);
    },
    refresh,
  };
}
