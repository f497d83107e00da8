import type { Clock } from "../base/clock.ts";
import type { Cache } from "./cache.ts";
import type { Identity } from "./feed.ts";
import { recordKey } from "./persistence.ts";
import type { Persistence, PersistedStep } from "./persistence.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import type { DirtySet, StoredRecord } from "./snapshot.ts";

/** How long changes gather before they are written: never on the path of an event. */
const gatherMs = 50;

export interface JournalOptions {
  readonly cache: Cache;
  readonly persistence: Persistence;
  readonly identity: () => Identity | null;
  readonly clock: Clock;
  /** Of the records on disk, by estimate. */
  readonly bytesMax: number;
  readonly onFailure: (error: unknown) => void;
}

/** Writes the base behind the cache: rows and the cursor they lead to in one transaction. */
export interface Journal {
  note(dirty: DirtySet): void;
  /** The next step replaces what is stored by what the cache holds. */
  startFresh(): void;
  /** Only one tab writes. One that begins to replaces what another left, which may be older or newer. */
  setWriting(isWriting: boolean, isDiskOurs: boolean): void;
  /** Resolves when everything noted so far is stored. */
  flush(): Promise<void>;
}

export function createJournal(options: JournalOptions): Journal {
  const { cache, persistence, clock } = options;
  let records = new Map<string, RecordRef>();
  let queries = new Map<string, QueryKey>();
  // Bytes of each row, oldest write first.
  const sizes = new Map<string, { readonly ref: RecordRef; readonly bytes: number }>();
  let total = 0;
  let isWriting = false;
  let isFresh = false;
  let isDirty = false;
  let isDue = false;
  let saving: Promise<void> = Promise.resolve();

  const forget = (ref: RecordRef): void => {
    const key = recordKey(ref);
    total -= sizes.get(key)?.bytes ?? 0;
    sizes.delete(key);
  };
  const count = (record: StoredRecord): void => {
    forget(record);
    const bytes = JSON.stringify(record.record).length + 100;
    sizes.set(recordKey(record), { ref: { type: record.type, id: record.id }, bytes });
    total += bytes;
  };
  /** Rows beyond the bound, longest unwritten first; a query that misses one is asked again on load. */
  const surplus = (): RecordRef[] => {
    const dropped: RecordRef[] = [];
    for (const { ref } of sizes.values()) {
      if (total <= options.bytesMax) break;
      forget(ref);
      dropped.push(ref);
    }
    return dropped;
  };

  const toStep = (identity: Identity): PersistedStep => {
    const meta = { ...identity, cursor: cache.cursor, doubts: cache.doubts };
    if (isFresh) {
      const dump = cache.dump();
      sizes.clear();
      total = 0;
      const stored = [...dump.records];
      for (const record of stored) count(record);
      const dropped = new Set(surplus().map(recordKey));
      return {
        meta,
        isFresh,
        records: stored.filter((record) => !dropped.has(recordKey(record))),
        queries: [...dump.queries],
        droppedRecords: [],
        droppedQueries: [],
      };
    }
    const puts: StoredRecord[] = [];
    const gone: RecordRef[] = [];
    for (const ref of records.values()) {
      const stored = cache.storedRecord(ref);
      if (stored === null) {
        forget(ref);
        gone.push(ref);
      } else {
        count(stored);
        puts.push(stored);
      }
    }
    const answers = [...queries.values()].map((key) => ({ key, stored: cache.storedQuery(key) }));
    return {
      meta,
      isFresh,
      records: puts,
      queries: answers.flatMap(({ stored }) => stored ?? []),
      droppedRecords: [...gone, ...surplus()],
      droppedQueries: answers.flatMap(({ key, stored }) => (stored === null ? key.text : [])),
    };
  };

  const save = async (): Promise<void> => {
    const identity = options.identity();
    if (!isWriting || !isDirty || identity === null || cache.cursor < 0) return;
    const step = toStep(identity);
    records = new Map();
    queries = new Map();
    isDirty = false;
    isFresh = false;
    try {
      await persistence.save(step);
    } catch (error) {
      // What is stored is whole but old; the next step replaces it.
      isFresh = true;
      isDirty = true;
      options.onFailure(error);
    }
  };

  const flush = (): Promise<void> => {
    saving = saving.then(save);
    return saving;
  };
  const plan = (): void => {
    isDirty = true;
    if (isDue || !isWriting) return;
    isDue = true;
    void clock.sleep(gatherMs).then(() => {
      isDue = false;
      return flush();
    });
  };

  return {
    note: (dirty) => {
      // Who does not write replaces everything once it does.
      if (isWriting && !isFresh) {
        for (const ref of dirty.records) records.set(recordKey(ref), ref);
        for (const key of dirty.queries) queries.set(key.text, key);
      }
      plan();
    },
    startFresh: () => {
      isFresh = true;
      plan();
    },
    setWriting: (next, isDiskOurs) => {
      isWriting = next;
      if (!next) return;
      isFresh = !isDiskOurs;
      if (isDiskOurs) for (const record of cache.dump().records) count(record);
      if (isFresh) plan();
    },
    flush,
  };
}
