import type { Cache } from "./cache.ts";
import { inTime } from "./in-time.ts";
import { createLedger } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { Keeper, KeeperParts, PersistedStep, Persistence } from "./persistence.ts";
import type { QueryKey } from "./query-key.ts";
import { recordKey } from "./record.ts";
import type { RecordRef } from "./record.ts";
import { doubtsOf, dump, storedQuery, storedRecord } from "./stored.ts";
import type { DirtySet, StoredQuery, StoredRecord } from "./snapshot.ts";

/** How long changes gather before they are written: never on the path of an event. */
const gatherMs = 50;
/** The same after a failure, because all has to be written then. */
const againMs = 30_000;

export type Journal = Pick<Keeper, "startFresh" | "setWriting" | "flush"> & {
  readonly note: (dirty: DirtySet) => void;
};

type Rows = Omit<PersistedStep, "meta" | "isFresh">;

/** What changed. A query that misses a row beyond the bound is asked for again when it is loaded. */
function changedRows(cache: Cache, ledger: Ledger, changes: Changes): Rows {
  const records: StoredRecord[] = [];
  const queries: StoredQuery[] = [];
  const droppedRecords: RecordRef[] = [];
  const droppedQueries: string[] = [];
  for (const ref of changes.records.values()) {
    const stored = storedRecord(cache.state, ref);
    if (stored === null) {
      ledger.drop(ref);
      droppedRecords.push(ref);
    } else {
      ledger.put(stored);
      records.push(stored);
    }
  }
  for (const key of changes.queries.values()) {
    const stored = storedQuery(cache.state, key);
    if (stored === null) droppedQueries.push(key.text);
    else queries.push(stored);
  }
  droppedRecords.push(...ledger.takeSurplus());
  return { records, queries, droppedRecords, droppedQueries };
}

/** What is to be written, by key. */
function createChanges() {
  const records = new Map<string, RecordRef>();
  const queries = new Map<string, QueryKey>();
  return {
    records,
    queries,
    add: (refs: Iterable<RecordRef>, keys: Iterable<QueryKey>): void => {
      for (const ref of refs) records.set(recordKey(ref), ref);
      for (const key of keys) queries.set(key.text, key);
    },
  };
}
type Changes = ReturnType<typeof createChanges>;

export function createJournal(disk: Persistence, options: KeeperParts): Journal {
  const { cache, clock } = options;
  const ledger = createLedger(options.bytesMax);
  let changes = createChanges();
  let isWriting = false;
  let isFresh = false;
  let isDirty = false;
  let isDue = false;
  let waitMs = gatherMs;
  let saving: Promise<void> = Promise.resolve();

  const save = async (): Promise<void> => {
    const identity = options.identity();
    if (!isWriting || !isDirty || identity === null || cache.cursor < 0) return;
    const meta = { ...identity, cursor: cache.cursor, doubts: doubtsOf(cache.state) };
    if (isFresh) {
      const all = dump(cache.state);
      ledger.clear();
      changes.add(
        all.records,
        all.queries.map(({ key }) => key),
      );
    }
    const step = { meta, isFresh, ...changedRows(cache, ledger, changes) };
    changes = createChanges();
    isDirty = isFresh = false;
    try {
      await inTime(clock, disk.save(step));
      waitMs = gatherMs;
    } catch (error) {
      waitMs = againMs;
      // What is stored is whole but old; the next step replaces it.
      isDirty = isFresh = true;
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
    void clock.sleep(waitMs).then(() => {
      isDue = false;
      return flush();
    });
  };
  const startFresh = (): void => {
    isFresh = true;
    plan();
  };

  return {
    note: (dirty) => {
      // Who does not write replaces everything once it does.
      if (isWriting && !isFresh) changes.add(dirty.records, dirty.queries);
      plan();
    },
    startFresh,
    setWriting: (next, isDiskOurs) => {
      isWriting = next;
      if (!next) return;
      isFresh = false;
      if (isDiskOurs) for (const record of dump(cache.state).records) ledger.put(record);
      else startFresh();
    },
    flush,
  };
}
