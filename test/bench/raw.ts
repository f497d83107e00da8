/**
 * The bounds of writing: the driver alone, in a process of its own because it is synchronous.
 *
 * @module
 */
import type { Client, Value } from "@libsql/client";
import { answerCalls } from "./child.ts";
import { albumDescription, createFileRecord, createUuid } from "./records.ts";
import { openDatabase, toStatements, type Album } from "./tables.ts";

let client: Client | null = null;

function database(): Client {
  if (client === null) throw new Error("open comes first");
  return client;
}

const nextAlbum = (): Album => ({
  id: createUuid(),
  name: "Iceland, day after day",
  description: albumDescription,
});

/** Commits a second when `callerCount` callers each wait for a transaction of `groupSize`. */
async function runCommits(input: {
  callerCount: number;
  groupSize: number;
  durationMs: number;
}): Promise<number> {
  const { callerCount, groupSize, durationMs } = input;
  const db = database();
  const started = performance.now();
  let count = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() - started < durationMs) {
      const statements = Array.from({ length: groupSize }, nextAlbum).flatMap(toStatements);
      await db.batch(statements, "write");
      count += groupSize;
    }
  };
  await Promise.all(Array.from({ length: callerCount }, loop));
  return (count / (performance.now() - started)) * 1000;
}

const INSERT_FILES = `INSERT INTO file (id, location_id, name, extension, size, mime, modified_at,
    version, updated_at)
  SELECT value->>'id', value->>'location_id', value->>'name', value->>'extension', value->>'size',
    value->>'mime', value->>'modified_at', 1, 1777777777123 FROM json_each(?)`;

/** Rows a second of `INSERT … SELECT … FROM json_each(?)`, a transaction a chunk. */
async function runBulk(input: { count: number; chunkSize: number }): Promise<number> {
  const { count, chunkSize } = input;
  const db = database();
  const locationId = createUuid();
  let elapsedMs = 0;
  for (let at = 0; at < count; at += chunkSize) {
    const records = Array.from({ length: Math.min(chunkSize, count - at) }, (_, index) =>
      createFileRecord(locationId, at + index),
    );
    const args: Value[] = [JSON.stringify(records)];
    const started = performance.now();
    await db.batch([{ sql: INSERT_FILES, args }], "write");
    elapsedMs += performance.now() - started;
  }
  return (count / elapsedMs) * 1000;
}

const calls = {
  /** Opens a fresh database. */
  open: async (input: { directory: string }): Promise<void> => {
    client = await openDatabase(`${input.directory}/raw.db`);
  },
  runCommits,
  runBulk,
};

export type RawCalls = typeof calls;

if (import.meta.main) answerCalls(calls);
