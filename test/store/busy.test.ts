/**
 * SQLITE_BUSY: a connection of the native driver that met it once acknowledges writes that never
 * commit, or fails for ever. Another process holds the lock while we write, again and again; every
 * write that was acknowledged must be in the file afterwards (I4), with either client.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { systemClock } from "../../src/base/clock.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { insertValues } from "../../src/resource/insert.ts";
import { createFileClient } from "../../src/runtime/file-client.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { DatabaseOptions } from "../../src/store/database.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";

async function openFile(createClientOf: DatabaseOptions["createClient"], databaseMs: number) {
  const directory = await mkdtemp(join(tmpdir(), "syncline-busy-"));
  const path = join(directory, "busy.db");
  const retries: number[] = [];
  const database = openDatabase({
    url: `file:${path}`,
    durability: "normal",
    createClient: createClientOf,
    clock: systemClock,
    limits: { ...defaultLimits, databaseMs },
    telemetry: { ...silentTelemetry, count: () => retries.push(1) },
  });
  await database.write([{ sql: "CREATE TABLE t (x INTEGER PRIMARY KEY)", args: [] }]);
  return {
    path,
    database,
    retries,
    insert: (x: number) => database.write([{ sql: "INSERT INTO t VALUES (?)", args: [x] }]),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Another process that takes the write lock, and gives it back when told. */
async function holdLock(path: string) {
  const script = `
    const { createClient } = require("@libsql/client");
    const tx = await createClient({ url: "file:${path}" }).transaction("write");
    process.stdout.write("held");
    for await (const _ of process.stdin) break;
    await tx.rollback();
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  return {
    release: async (): Promise<void> => {
      void child.stdin.write("\n");
      await child.stdin.flush();
      await child.exited;
    },
  };
}

const clients: Record<string, DatabaseOptions["createClient"]> = {
  "the file client": ({ url }) => createFileClient(url),
  "@libsql/client": (config) => createClient({ ...config }),
};

for (const [name, client] of Object.entries(clients)) {
  test(`I4: with ${name}, what is acknowledged after SQLITE_BUSY is in the file`, async () => {
    await using file = await openFile(client, 10_000);
    for (let x = 1; x <= 6; x += 2) {
      const lock = await holdLock(file.path);
      const { length } = file.retries;
      const blocked = file.insert(x);
      while (file.retries.length === length) await systemClock.sleep(1);
      await lock.release();
      await blocked;
      await file.insert(x + 1);
    }
    file.database.close();
    const reader = createClient({ url: `file:${file.path}` });
    const { rows } = await reader.execute("SELECT x FROM t ORDER BY x");
    reader.close();
    expect(rows.map((row) => row[0])).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test(`with ${name}, a lock that does not end is answered, and the next write commits`, async () => {
    await using file = await openFile(client, 100);
    const lock = await holdLock(file.path);
    await expect(file.insert(1)).rejects.toMatchObject({ code: "database_unavailable" });
    await lock.release();
    await file.insert(2);
    const [rows = []] = await file.database.read([{ sql: "SELECT x FROM t", args: [] }]);
    expect(rows.map((row) => row[0])).toEqual([2]);
    file.database.close();
  });
}

const values = insertValues({ into: "INSERT INTO t", row: "(?)" });

test("a transaction that fails half-way leaves nothing, and its connection goes on", async () => {
  await using file = await openFile(({ url }) => createFileClient(url), 1_000);
  await file.insert(1);
  const twice = { values, all: "", rows: [[2], [1]] };
  await expect(file.database.write([twice])).rejects.toThrow("UNIQUE constraint failed");
  await expect(
    file.database.transaction(async (tx) => {
      await tx.execute("INSERT INTO t VALUES (3)");
      throw new Error("changed my mind");
    }),
  ).rejects.toThrow("changed my mind");
  await file.insert(4);
  const many = Array.from({ length: 250 }, (_, index) => [index + 100]);
  await file.database.write([{ values, all: "", rows: many }]);
  const [rows = []] = await file.database.read([{ sql: "SELECT x FROM t ORDER BY x", args: [] }]);
  expect(rows.map((row) => row[0])).toEqual([1, 4, ...many.map(([x]) => x)]);
  file.database.close();
});
