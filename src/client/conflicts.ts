import { renameKeys, toCamelCase } from "../base/case.ts";
import type { Store } from "./api.ts";
import type { Client } from "./client.ts";
import type { ClientRecord } from "./record.ts";
import { createStore } from "./store.ts";
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

/** Follows the conflicts of a client's library. */
export function openConflicts({
  onEvent,
  request,
  status,
}: Pick<Client, "onEvent" | "request" | "status">): Conflicts {
  const { getSnapshot, set, subscribe } = createStore<readonly Conflict[]>([]);
  let listenerCount = 0;
  let asked = 0;

  const list = async (): Promise<readonly Conflict[]> => {
    const mine = (asked += 1);
    const found: Conflict[] = [];
    let after: string | undefined;
    do {
      const { conflicts, next_cursor } = await request("conflicts", { query: { after } });
      if (Array.isArray(conflicts)) found.push(...conflicts.flatMap(toConflict));
      after = typeof next_cursor === "string" ? next_cursor : undefined;
    } while (after !== undefined);
    if (mine === asked) set(found);
    return found;
  };
  const refresh = (): void => void list().catch(() => {});
  /** There may be others than before when one is announced, and after the stream was away. */
  const follow = (): (() => void) => {
    let wasLive = false;
    const forgetEvents = onEvent((event) => {
      if (event?.kind.type === "ConflictDetected") refresh();
    });
    const forgetStatus = status.subscribe(() => {
      const isLive = status.getSnapshot().connection === "live";
      if (isLive && !wasLive) refresh();
      wasLive = isLive;
    });
    refresh();
    return () => {
      forgetEvents();
      forgetStatus();
    };
  };
  let unfollow: () => void = () => {};

  return {
    getSnapshot,
    subscribe: (listener) => {
      const forget = subscribe(listener);
      if (listenerCount === 0) unfollow = follow();
      listenerCount += 1;
      let isActive = true;
      return () => {
        if (!isActive) return;
        isActive = false;
        forget();
        listenerCount -= 1;
        if (listenerCount === 0) unfollow();
      };
    },
    list,
    resolve: async (id, resolution) => {
      const data = "data" in resolution ? { data: toWireNames(resolution.data) } : {};
      const body = { ...resolution, ...data };
      const { resource } = await request(`conflicts/${id}/resolve`, { body });
      set(getSnapshot().filter((one) => one.id !== id));
      return toRecord(resource);
    },
  };
}
