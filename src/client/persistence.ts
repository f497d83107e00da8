import type { Identity } from "./feed.ts";
import type { QueuedMutation } from "./mutation.ts";
import type { Doubts, StoredQuery, StoredRecord } from "./snapshot.ts";

/** What a stored base is a copy of, and up to where. */
export interface StoredMeta extends Identity {
  readonly cursor: number;
  readonly doubts?: Doubts;
}

/** One step of the base: stored whole or not at all, together with the cursor it leads to. */
export interface PersistedStep {
  readonly meta: StoredMeta;
  /** The base begins afresh: what was stored before this step is dropped with it. */
  readonly isFresh: boolean;
  readonly records: readonly StoredRecord[];
  readonly queries: readonly StoredQuery[];
  readonly droppedRecords: readonly { readonly type: string; readonly id: string }[];
  /** By the text of their keys. */
  readonly droppedQueries: readonly string[];
}

/** What the disk says, unchecked: rows may be damaged or of another version. */
export interface PersistedState {
  readonly meta: unknown;
  readonly records: readonly unknown[];
  readonly queries: readonly unknown[];
}

/** Where a client keeps its base and its waiting mutations. `test/suites/persistence.ts` holds each. */
export interface Persistence {
  load(): Promise<PersistedState>;
  /** Waiting and refused mutations, in the order in which they were added. */
  loadQueue(): Promise<readonly unknown[]>;
  save(step: PersistedStep): Promise<void>;
  /** Durable once it resolves. A known id keeps its place and is replaced. */
  putMutation(mutation: QueuedMutation): Promise<void>;
  dropMutation(id: string): Promise<void>;
  close(): Promise<void>;
  /** Deletes everything, and closes. */
  destroy(): Promise<void>;
}

/** A disk of tests and of clients that need none: what is opened again under it is still there. */
export interface MemoryDisk {
  meta: StoredMeta | null;
  readonly records: Map<string, StoredRecord>;
  readonly queries: Map<string, StoredQuery>;
  readonly queue: Map<string, QueuedMutation>;
}

export function createMemoryDisk(): MemoryDisk {
  return { meta: null, records: new Map(), queries: new Map(), queue: new Map() };
}

export const recordKey = ({ type, id }: { readonly type: string; readonly id: string }): string =>
  `${type}:${id}`;

export function openMemory(disk: MemoryDisk = createMemoryDisk()): Persistence {
  const clear = (): void => {
    disk.meta = null;
    disk.records.clear();
    disk.queries.clear();
  };
  return {
    load: async () => ({
      meta: disk.meta,
      records: [...disk.records.values()],
      queries: [...disk.queries.values()],
    }),
    loadQueue: async () => [...disk.queue.values()],
    save: async (step) => {
      if (step.isFresh) clear();
      for (const record of step.records) disk.records.set(recordKey(record), record);
      for (const query of step.queries) disk.queries.set(query.key.text, query);
      for (const ref of step.droppedRecords) disk.records.delete(recordKey(ref));
      for (const text of step.droppedQueries) disk.queries.delete(text);
      disk.meta = step.meta;
    },
    putMutation: async (mutation) => void disk.queue.set(mutation.id, mutation),
    dropMutation: async (id) => void disk.queue.delete(id),
    close: async () => {},
    destroy: async () => {
      clear();
      disk.queue.clear();
    },
  };
}
