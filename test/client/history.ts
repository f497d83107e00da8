import type { ChangeEvent, ClientRecord } from "../../src/client/record.ts";
import type { Draft } from "../../src/client/rules.ts";
import { event } from "./world.ts";

interface Write {
  readonly type: "file" | "tag";
  readonly id: string;
  readonly kind: "put" | "delete";
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A transaction: writes over several types, or one that goes through all files. */
export type Plan =
  | { readonly writes: readonly Write[] }
  | { readonly move: { readonly from: string; readonly to: string } };

/** By `type:id`; a deletion keeps its version, with `record` null. */
export type State = ReadonlyMap<
  string,
  { readonly type: string; readonly version: number; readonly record: ClientRecord | null }
>;

/** The one definition of what a plan does, for the server, the cache and its oracle. */
export function carryOut(draft: Draft, plan: Plan): void {
  if ("move" in plan) {
    const { from, to } = plan.move;
    for (const { id, parentId } of draft.all("file"))
      if (parentId === from) draft.update("file", id, { parentId: to });
    return;
  }
  for (const { type, id, kind, fields } of plan.writes) {
    if (kind === "delete") draft.delete(type, id);
    else if (draft.get(type, id) !== null) draft.update(type, id, fields);
    else draft.insert(type, { name: "n", parentId: "p", size: 1, ...fields, id });
  }
}

/** A draft over plain maps, which changes what it is given. */
export function draftOver(views: Map<string, ClientRecord | null>): Draft {
  const get = (type: string, id: string) => views.get(`${type}:${id}`) ?? null;
  return {
    get,
    insert: (type, record) => {
      const version = get(type, record.id)?.version ?? 0;
      views.set(`${type}:${record.id}`, { ...record, version });
    },
    update: (type, id, fields) => {
      const record = get(type, id);
      if (record !== null) views.set(`${type}:${id}`, { ...record, ...fields });
    },
    delete: (type, id) => void views.set(`${type}:${id}`, null),
    *all(type) {
      for (const [key, record] of views)
        if (record !== null && key.startsWith(`${type}:`)) yield record;
    },
  };
}

/** How the stream tells a transaction: whole, without contents, or as one bulk operation. */
export type Telling = "whole" | "touched" | "bulk";

/** A server that remembers each of its states; sequence n is its n-th transaction. */
export function createHistory() {
  const states: State[] = [new Map()];
  const events: ChangeEvent[] = [];
  const head = () => events.length;
  return {
    head,
    at: (sequence: number): State => states[sequence]!,
    events,
    /** The sequence, or null when the plan changes nothing. */
    commit: (plan: Plan, telling: Telling, mutationId?: string): number | null => {
      const before = states[head()]!;
      const views = new Map(Array.from(before, ([key, { record }]) => [key, record] as const));
      carryOut(draftOver(views), plan);
      const after = new Map(before);
      const parts: Record<"changed" | "deleted" | "touched", object[]> = {
        changed: [],
        deleted: [],
        touched: [],
      };
      for (const [key, view] of views) {
        const known = before.get(key);
        if (view === (known?.record ?? null)) continue;
        const [type = "", id = ""] = key.split(":");
        const version = (known?.version ?? 0) + 1;
        const record = view === null ? null : { ...view, version };
        after.set(key, { type, version, record });
        if (telling === "touched") parts.touched.push({ type, id });
        else if (record === null) parts.deleted.push({ type, id, version });
        else parts.changed.push({ type, record });
      }
      if (Bun.deepEquals(before, after)) return null;
      const own = mutationId === undefined ? {} : { mutationId };
      const told = telling === "bulk" ? { bulk: { type: "file", scopes: [] } } : parts;
      states.push(after);
      events.push(event(events.length + 1, { ...told, ...own } as Partial<ChangeEvent>));
      return head();
    },
  };
}
