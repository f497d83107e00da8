import { createKeeper } from "./keeper.ts";
import type { QueuedMutation } from "./mutation.ts";
import type { Persistence, StoredMeta } from "./persistence.ts";
import { recordKey } from "./record.ts";
import type { StoredQuery, StoredRecord } from "./snapshot.ts";

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

export function openMemory(disk: MemoryDisk = createMemoryDisk()): Persistence {
  const clear = (): void => {
    disk.meta = null;
    disk.records.clear();
    disk.queries.clear();
  };
  return {
    keep: createKeeper,
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
    putMutations: async (mutations) => {
      for (const mutation of mutations) disk.queue.set(mutation.id, mutation);
    },
    dropMutations: async (ids) => {
      for (const id of ids) disk.queue.delete(id);
    },
    close: async () => {},
    destroy: async () => {
      clear();
      disk.queue.clear();
    },
  };
}
