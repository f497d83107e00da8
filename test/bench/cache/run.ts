import { heapStats } from "bun:jsc";
import type { Contender, Row, Table } from "./contender.ts";
import { createTable, createUpdates } from "./rows.ts";

/** A contender with everything subscribed; each listener reads its answer again. */
export function open(create: () => Contender, table: Table): Contender {
  const contender = create();
  contender.hydrate(table);
  let rowsRead = 0;
  for (let query = 0; query < table.length; query += 1) {
    contender.subscribe(query, () => (rowsRead += contender.read(query).length));
  }
  return contender;
}

function timePer(items: readonly Row[], work: (row: Row) => void): number {
  const started = performance.now();
  for (const item of items) work(item);
  return ((performance.now() - started) * 1_000) / items.length;
}

/** Microseconds to apply one row, tell the subscriber and read its list again. */
export function timeUpdates(create: () => Contender, table: Table, count = 5_000): number {
  const contender = open(create, table);
  for (const row of createUpdates(table, count)) contender.update(row);
  return timePer(createUpdates(table, count, 1_000), (row) => contender.update(row));
}

export function timeOptimistic(create: () => Contender, table: Table, count = 2_000): number {
  const contender = open(create, table);
  for (const row of createUpdates(table, count)) contender.optimistic(row);
  return timePer(createUpdates(table, count, 1_000), (row) => contender.optimistic(row));
}

/** Milliseconds until all answers are in the cache and were read. */
export function timeHydrate(create: () => Contender): number {
  const table = createTable(100, 100);
  const contender = create();
  const started = performance.now();
  contender.hydrate(table);
  for (let query = 0; query < table.length; query += 1) contender.read(query);
  return performance.now() - started;
}

/** Milliseconds for one event of 1,000 rows that are spread over all queries. */
export function timeBatch(create: () => Contender, table: Table): number {
  const contender = open(create, table);
  contender.batch(createUpdates(table, 1_000));
  const rounds = 20;
  const batches = Array.from({ length: rounds }, (_, round) =>
    createUpdates(table, 1_000, 1 + round),
  );
  const started = performance.now();
  for (const batch of batches) contender.batch(batch);
  return (performance.now() - started) / rounds;
}

/** Bytes of heap for one row of 100 subscribed queries of 100 rows, the row itself included. */
export function measureHeap(create: () => Contender): number {
  Bun.gc(true);
  const before = heapStats().heapSize;
  const held = open(create, createTable(100, 100));
  Bun.gc(true);
  const bytes = heapStats().heapSize - before;
  held.read(0);
  return bytes / 10_000;
}
