import type { ClientRecord } from "../../src/client/record.ts";

/** A record as of a version; `record` is null once it was deleted. */
export interface Known {
  readonly version: number;
  readonly record: ClientRecord | null;
}

export interface Change {
  readonly id: string;
  readonly kind: "put" | "delete";
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Entry {
  readonly sequence: number;
  readonly mutationId: string | undefined;
  readonly id: string;
  readonly known: Known;
}

const nothing: Known = { version: 0, record: null };

/** What a change makes of a record: the one definition that server and optimism share. */
function applyChange(current: ClientRecord | null, change: Change): ClientRecord | null {
  if (change.kind === "delete") return null;
  const fresh = { name: "n", parentId: "p", size: 1 };
  return {
    ...(current ?? fresh),
    ...change.fields,
    id: change.id,
    version: current?.version ?? 0,
  };
}

/** A server that remembers every state it ever had. */
export function createServer() {
  const log: Entry[] = [];
  const at = (sequence: number): Map<string, Known> => {
    const state = new Map<string, Known>();
    for (const { id, known } of log.slice(0, sequence)) state.set(id, known);
    return state;
  };
  return {
    log,
    at,
    head: () => log.length,
    /** The entry, or null when there is nothing to delete. */
    commit: (change: Change, mutationId?: string): Entry | null => {
      const current = at(log.length).get(change.id) ?? nothing;
      const next = applyChange(current.record, change);
      if (next === null && current.record === null) return null;
      const version = current.version + 1;
      const record = next === null ? null : { ...next, version };
      const entry = {
        sequence: log.length + 1,
        mutationId,
        id: change.id,
        known: { version, record },
      };
      log.push(entry);
      return entry;
    },
  };
}

export interface ListShape {
  readonly matches: (record: ClientRecord) => boolean;
  readonly compare: (left: ClientRecord, right: ClientRecord) => number;
  readonly limit: number;
}

function idOrder(left: ClientRecord, right: ClientRecord): number {
  return left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
}

/** The records of a list from scratch: filter, sort, cut. */
export function select(records: Iterable<ClientRecord | null>, shape: ListShape): ClientRecord[] {
  const found = [...records].filter((record) => record !== null).filter(shape.matches);
  found.sort((left, right) => shape.compare(left, right) || idOrder(left, right));
  return found.slice(0, shape.limit);
}

interface PendingChange {
  readonly id: string;
  readonly change: Change;
  isSettled: boolean;
  sequence: number | null;
  isSeen: boolean;
}

/** What the client should know, recomputed from all that it was told. */
export function createOracle() {
  const base = new Map<string, Known>();
  let pending: PendingChange[] = [];
  let cursor = 0;
  const learn = (id: string, known: Known) => {
    if (known.version > (base.get(id) ?? nothing).version) base.set(id, known);
  };
  return {
    base,
    learn,
    pending: () => pending,
    cursor: () => cursor,
    moveTo: (sequence: number) => {
      cursor = Math.max(cursor, sequence);
      pending = pending.filter((one) => one.sequence === null || one.sequence > cursor);
    },
    add: (id: string, change: Change) =>
      pending.push({ id, change, isSettled: false, sequence: null, isSeen: false }),
    drop: (id: string) => (pending = pending.filter((one) => one.id !== id)),
    find: (id: string) => pending.find((one) => one.id === id),
    /** Every view, and which of them a pending change has written. */
    views: () => {
      const views = new Map<string, ClientRecord | null>();
      for (const [id, { record }] of base) views.set(id, record);
      const overlaid = new Set<string>();
      for (const { change, isSettled } of pending) {
        if (isSettled) continue;
        const current = views.get(change.id) ?? null;
        if (change.kind === "delete" && current === null) continue;
        views.set(change.id, applyChange(current, change));
        overlaid.add(change.id);
      }
      return { views, overlaid };
    },
  };
}
