/**
 * A service that kills itself with SIGKILL at a numbered point of the write path. The points lie
 * around the calls of its library's database, so that the service itself knows nothing of them.
 * Run as a process: `crash-point.ts DIRECTORY LIBRARY POINT NTH`.
 *
 * @module
 */
import type { Database, RowsStatement, Statement } from "../../src/store/database.ts";
import { createWorld } from "./world.ts";

type Write = Statement | RowsStatement;
const sqlOf = (write: Write) => ("rows" in write ? write.values(1) : write.sql);
const has = (writes: readonly Write[], text: string) =>
  writes.some((write) => sqlOf(write).includes(text));

const isCommit = (writes: readonly Write[]) =>
  has(writes, "INTO sync_log") && !has(writes, "INTO bulk_operations");
const isBulkStart = (writes: readonly Write[]) =>
  has(writes, "INTO bulk_operations") && !has(writes, "INTO advance");
const isChunk = (writes: readonly Write[]) =>
  has(writes, "INTO advance") && has(writes, "INTO bulk_operations") && !isBulkEnd(writes);
const isBulkEnd = (writes: readonly Write[]) =>
  has(writes, "INTO sync_log") && has(writes, "INTO bulk_operations");
const isTrim = (writes: readonly Write[]) => has(writes, "DELETE FROM sync_log");

interface Point {
  readonly where: "before" | "inside" | "after";
  readonly what: (writes: readonly Write[]) => boolean;
}

/** What a read of the committer looks like: it precedes the plan of a group. */
const isGroupRead = (statements: readonly Write[]) => has(statements, "FROM tombstones");

export const points: Readonly<Record<string, Point>> = {
  "1 before the plan of a group": { where: "before", what: isGroupRead },
  "2 after the plan, before its write": { where: "before", what: isCommit },
  "3 inside the transaction, rows written, entries not": { where: "inside", what: isCommit },
  "4 after the write, before the answer": { where: "after", what: isCommit },
  "5 before a bulk is on record": { where: "before", what: isBulkStart },
  "6 before a chunk of a bulk": { where: "before", what: isChunk },
  "7 after a chunk of a bulk": { where: "after", what: isChunk },
  "8 before the entry that closes a bulk": { where: "before", what: isBulkEnd },
  "9 after the entry that closes a bulk": { where: "after", what: isBulkEnd },
  "10 before a trim": { where: "before", what: isTrim },
  "11 inside a trim, horizon raised, entries there": { where: "inside", what: isTrim },
  "12 after a trim": { where: "after", what: isTrim },
};

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal may take a moment; nothing happens meanwhile.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
}

/** The same writes, the last of which dies when its turn comes, in the middle of the transaction. */
function deadly(writes: readonly Write[]): readonly Write[] {
  const at = writes.findIndex((write) => /(INTO|FROM) sync_log/.test(sqlOf(write)));
  return writes.toSpliced(at, 1, {
    values: () => "",
    all: "",
    get rows(): never {
      return die();
    },
  });
}

function killAt(database: Database, point: Point, nth: number): Database {
  let left = nth;
  const isTime = (statements: readonly Write[]): boolean => {
    if (!point.what(statements)) return false;
    left -= 1;
    return left === 0;
  };
  return {
    ...database,
    readPrimary: (statements) =>
      point.what === isGroupRead && isTime(statements) ? die() : database.readPrimary(statements),
    write: async (writes) => {
      const isNow = point.what !== isGroupRead && isTime(writes);
      if (isNow && point.where === "before") die();
      const result = await database.write(
        isNow && point.where === "inside" ? deadly(writes) : writes,
      );
      return isNow ? die() : result;
    },
  };
}

if (import.meta.main) {
  const [directory = "", library = "", name = "", nth = "1"] = process.argv.slice(2);
  const point = points[name];
  const isTrimming = point?.what === isTrim;
  const world = await createWorld({
    directory,
    limits: { bulkChunk: 50, ...(isTrimming ? { trimEveryMs: 30, retentionMs: 5 } : {}) },
    decorate: (opened, database) =>
      opened === library && point !== undefined ? killAt(database, point, Number(nth)) : database,
  });
  await world.service.catalog
    .open(library)
    .catch(() => world.service.catalog.create({ id: library, name: "crashing" }));
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: world.app.fetch });
  process.stdout.write(`listens at http://127.0.0.1:${server.port}\n`);
}
