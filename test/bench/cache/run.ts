import { heapStats } from "bun:jsc";
import type { Contender, Row, Table, Told } from "./contender.ts";
import { createTable, createUpdates } from "./rows.ts";

/** Each phase of a measurement ends after this, done or not: some caches need a second for a few. */
const PHASE_MS = 1_000;

/** A contender with everything subscribed; each listener reads its answer again. */
function open(create: () => Contender, table: Table): Contender {
  const contender = create();
  contender.hydrate(table);
  let rowsRead = 0;
  for (let query = 0; query < table.length; query += 1) {
    contender.subscribe(query, () => (rowsRead += contender.read(query).length));
  }
  return contender;
}

/** Milliseconds for one item. Waits only for a contender that tells its subscribers later. */
async function timePer<Item>(items: readonly Item[], work: (item: Item) => Told): Promise<number> {
  const started = performance.now();
  let count = 0;
  for (const item of items) {
    const told = work(item);
    if (told !== undefined) await told;
    count += 1;
    if ((count & 7) === 0 && performance.now() - started > PHASE_MS) break;
  }
  return (performance.now() - started) / count;
}

async function timeRows(table: Table, count: number, work: (row: Row) => Told): Promise<number> {
  await timePer(createUpdates(table, count), work);
  return 1_000 * (await timePer(createUpdates(table, count, 1_000), work));
}

/** Microseconds to apply one row, tell the subscriber and read its list again. */
export function timeUpdates(create: () => Contender, table: Table): Promise<number> {
  const contender = open(create, table);
  return timeRows(table, 5_000, (row) => contender.update(row));
}

export function timeOptimistic(create: () => Contender, table: Table): Promise<number> {
  const contender = open(create, table);
  return timeRows(table, 2_000, (row) => contender.optimistic(row));
}

/** How much more one row costs with 10,000 live queries than with 10. */
export async function measureGrowth(create: () => Contender): Promise<number> {
  const many = await timeUpdates(create, createTable(10_000, 10));
  return many / (await timeUpdates(create, createTable(10, 10)));
}

/** Milliseconds until all answers are in the cache and were read. */
export async function timeHydrate(create: () => Contender): Promise<number> {
  const table = createTable(100, 100);
  const contender = create();
  const started = performance.now();
  contender.hydrate(table);
  for (let query = 0; query < table.length; query += 1) contender.read(query);
  return performance.now() - started;
}

/** Milliseconds for one event of 1,000 rows that are spread over all queries. */
export async function timeBatch(create: () => Contender, table: Table): Promise<number> {
  const contender = open(create, table);
  await contender.batch(createUpdates(table, 1_000));
  const batches = Array.from({ length: 20 }, (_, round) => createUpdates(table, 1_000, 1 + round));
  return timePer(batches, (batch) => contender.batch(batch));
}

/** Collects in a task of its own, where no frame of the one before holds what it made. */
async function readHeap(): Promise<number> {
  await Bun.sleep(1);
  Bun.gc(true);
  return heapStats().heapSize;
}

/** Bytes of heap for one row of 100 subscribed queries of 100 rows, the row itself included. */
export async function measureHeap(create: () => Contender): Promise<number> {
  const before = await readHeap();
  const held = open(create, createTable(100, 100));
  const bytes = (await readHeap()) - before;
  held.read(0);
  return bytes / 10_000;
}
