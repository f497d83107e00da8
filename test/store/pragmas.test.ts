/** What holds for a connection and not for a file: each that is opened, also again, has to be told. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { systemClock } from "../../src/base/clock.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { createFileClient } from "../../src/runtime/file-client.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Database, DatabaseClient, DatabaseOptions } from "../../src/store/database.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";

const NAMES = [
  "journal_mode",
  "synchronous",
  "foreign_keys",
  "busy_timeout",
  "query_only",
  "soft_heap_limit",
];

async function readPragmas(read: Database["read"]) {
  const rows = await read(NAMES.map((name) => ({ sql: `PRAGMA ${name}`, args: [] })));
  return Object.fromEntries(NAMES.map((name, at) => [name, rows[at]?.[0]?.[0]]));
}

const clients: Record<string, DatabaseOptions["createClient"]> = {
  "the file client": ({ url }) => createFileClient(url),
  "@libsql/client": (config) => createClient({ ...config }),
};

/** The driver, whose batches fail as busy for as long as `isBusy`. */
function spoil(client: DatabaseClient | undefined, isBusy: () => boolean): DatabaseClient {
  if (client === undefined) throw new Error("There is no such client.");
  const { batch } = client;
  client.batch = async (...args) => {
    if (isBusy()) throw Object.assign(new Error("busy"), { code: "SQLITE_BUSY" });
    return batch.apply(client, args);
  };
  return client;
}

const levels = [
  { durability: "full", synchronous: 2 },
  { durability: "normal", synchronous: 1 },
] as const;
const cases = Object.keys(clients).flatMap((name) => levels.map((level) => ({ name, ...level })));

test.each(cases)("$name, $durability: every connection", async ({ name, ...level }) => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-pragmas-"));
  let busyCount = 0;
  const database = openDatabase({
    url: `file:${join(directory, "one.db")}`,
    durability: level.durability,
    createClient: (config) => spoil(clients[name]?.(config), () => (busyCount -= 1) >= 0),
    clock: systemClock,
    limits: defaultLimits,
    telemetry: silentTelemetry,
  });
  const expected = {
    journal_mode: "wal",
    synchronous: level.synchronous,
    foreign_keys: 1,
    busy_timeout: 50,
    // Of the process: so many files are open that the caches of each would be gigabytes together.
    soft_heap_limit: defaultLimits.databasesBytes,
  };
  await database.write([{ sql: "CREATE TABLE t (x INTEGER PRIMARY KEY)", args: [] }]);
  for (const [read, query_only] of [
    [database.readPrimary, 0],
    [database.read, 1],
  ] as const) {
    expect(await readPragmas(read)).toEqual({ ...expected, query_only });
    // A busy connection is given up; the one that takes its place is told again.
    busyCount = 1;
    expect(await readPragmas(read)).toEqual({ ...expected, query_only });
    expect(busyCount).toBeLessThan(0);
  }
  database.close();
  await rm(directory, { recursive: true });
});

test("a database that was closed is whole in its one file", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-closed-"));
  const url = `file:${join(directory, "one.db")}`;
  const copy = `file:${join(directory, "copy.db")}`;
  const open = (of: string, ending?: AbortSignal) =>
    openDatabase({
      ending,
      url: of,
      durability: "full",
      createClient: ({ url: file }) => createFileClient(file),
      clock: systemClock,
      limits: defaultLimits,
      telemetry: silentTelemetry,
    });
  const database = open(url);
  await database.write([{ sql: "CREATE TABLE t (x INTEGER PRIMARY KEY)", args: [] }]);
  for (let x = 0; x < 9; x += 1)
    await database.write([{ sql: "INSERT INTO t VALUES (?)", args: [x] }]);
  await database.read([{ sql: "SELECT * FROM t", args: [] }]);
  database.close();
  await copyFile(join(directory, "one.db"), join(directory, "copy.db"));
  const copied = open(copy);
  expect(await copied.read([{ sql: "SELECT count(*) FROM t", args: [] }])).toEqual([[[9]]]);
  copied.close();
  // A process that ends is not held up by the thousandth; what it leaves is whole with its WAL.
  const late = open(url, AbortSignal.abort(systemClock.monotonic() - 60_000));
  await late.write([{ sql: "INSERT INTO t VALUES (9)", args: [] }]);
  late.close();
  await copyFile(join(directory, "one.db"), join(directory, "copy.db"));
  for (const [at, count] of [
    [copy, 9],
    [url, 10],
  ] as const) {
    const again = open(at);
    expect(await again.read([{ sql: "SELECT count(*) FROM t", args: [] }])).toEqual([[[count]]]);
    again.close();
  }
  // Closing what was never used makes no file.
  open(`file:${join(directory, "none.db")}`).close();
  expect(existsSync(join(directory, "none.db"))).toBe(false);
  await rm(directory, { recursive: true });
});
