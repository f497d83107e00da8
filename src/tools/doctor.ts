import { decodeEntries, BULK_MODEL_TYPE, selectAfter } from "../log/sync-log.ts";
import { toFields } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import { isEqualJson } from "../resource/conflict.ts";
import { recordHash } from "../commit/write.ts";
import { HASH_MASK } from "../base/hash.ts";
import type { Registry } from "../resource/registry.ts";
import { readPages } from "../store/pages.ts";
import type { Read } from "../store/database.ts";

/** What the log says of one record: its last version and fields; null fields when it was deleted. */
interface Replayed {
  readonly version: number;
  readonly fields: Readonly<Record<string, unknown>> | null;
}

export interface Examination {
  readonly entryCount: number;
  readonly recordCount: number;
  /** Sentences, one a difference; empty when all agrees. */
  readonly findings: readonly string[];
}

interface Replay {
  readonly records: Map<string, Map<string, Replayed>>;
  /** The types that bulk operations wrote: their records need no entry of their own. */
  readonly bulkTypes: Set<string>;
  /** Whether the log begins later than the library: then older records have no entry any more. */
  readonly isTrimmed: boolean;
  readonly findings: string[];
  entryCount: number;
}

/** Replays the log from its oldest entry; its sequences are dense (I1), and its epochs only rise (I3). */
async function replayLog(read: Read): Promise<Replay> {
  const [rows = [], bulks = []] = await read([
    { sql: "SELECT head, oldest_sequence FROM library", args: [] },
    // One that goes on, or whose node died, has written records and no entry yet.
    { sql: "SELECT resource_type FROM bulk_operations WHERE state = 'running'", args: [] },
  ]);
  const [head = 0, oldest = 1] = (rows[0] ?? []) as number[];
  const replay: Replay = {
    records: new Map(),
    bulkTypes: new Set(bulks.map(([type]) => type as string)),
    isTrimmed: oldest > 1,
    findings: [],
    entryCount: 0,
  };
  let expected = oldest;
  let epoch = 0;
  for (;;) {
    const [rows = []] = await read([selectAfter(expected - 1, 1_000)]);
    const page = decodeEntries(rows);
    if (page.length === 0) break;
    for (const entry of page) {
      if (entry.sequence !== expected) {
        replay.findings.push(`I1: the log jumps from ${expected - 1} to ${entry.sequence}.`);
      }
      expected = entry.sequence + 1;
      if (entry.epoch < epoch)
        replay.findings.push(
          `I3: the entry ${entry.sequence} is of epoch ${entry.epoch}, one before it of ${epoch}.`,
        );
      epoch = Math.max(epoch, entry.epoch);
      replay.entryCount += 1;
      if (entry.modelType === BULK_MODEL_TYPE) {
        replay.bulkTypes.add(String(entry.data?.["model"]));
        continue;
      }
      const records = replay.records.get(entry.modelType) ?? new Map<string, Replayed>();
      replay.records.set(entry.modelType, records);
      records.set(entry.recordId, { version: entry.version, fields: entry.data });
    }
  }
  if (expected - 1 !== head)
    replay.findings.push(`I1: the head is ${head}, the log ends at ${expected - 1}.`);
  return replay;
}

/** Compares the live rows of one type with what the log says (I2), and their checksum. */
async function compareType(
  read: Read,
  resource: CompiledResource,
  replay: Replay,
): Promise<number> {
  const { findings, bulkTypes, isTrimmed } = replay;
  const records = replay.records.get(resource.type) ?? new Map<string, Replayed>();
  const isBulk = bulkTypes.has(resource.type);
  let count = 0;
  let sum = 0;
  for await (const rows of readPages(read, resource)) {
    for (const row of rows) {
      const id = row["id"] as string;
      const logged = records.get(id);
      records.delete(id);
      count += 1;
      sum = (sum + recordHash(resource, row)) % (HASH_MASK + 1);
      const name = `${resource.type} ${id}`;
      if (logged === undefined) {
        if (!isBulk && !isTrimmed) findings.push(`I2: ${name} has no entry.`);
      } else if (logged.version !== row["version"]) {
        if (!isBulk)
          findings.push(
            `I2: ${name} has version ${String(row["version"])}, its entry ${logged.version}.`,
          );
      } else if (!isEqualJson(logged.fields, toFields(resource, row))) {
        findings.push(`I2: ${name} differs from its entry of version ${logged.version}.`);
      }
    }
  }
  for (const [id, { fields }] of records) {
    if (fields !== null && !isBulk)
      findings.push(`I2: ${resource.type} ${id} is in the log, but has no row.`);
  }
  const [kept = []] = await read([
    { sql: "SELECT count, sum FROM checksums WHERE resource_type = ?", args: [resource.type] },
  ]);
  const [keptCount = 0, keptSum = 0] = (kept[0] ?? []) as number[];
  if (keptCount !== count) {
    findings.push(`The checksum of ${resource.type} counts ${keptCount}, its table has ${count}.`);
  } else if (keptSum !== sum) {
    findings.push(`The checksum of ${resource.type} is not that of its rows.`);
  }
  return count;
}

/** What SQLite itself finds wrong with the file. */
async function findDamage(read: Read): Promise<string[]> {
  const [rows = []] = await read([{ sql: "PRAGMA integrity_check(20)", args: [] }]);
  return rows.map(([said]) => said as string).filter((said) => said !== "ok");
}

/** Replays the log over nothing and compares what it gives with the live rows. Only reads. */
export async function examineLibrary(read: Read, registry: Registry): Promise<Examination> {
  const damage = await findDamage(read);
  const replay = await replayLog(read);
  let recordCount = 0;
  for (const resource of registry.resources) {
    if (resource.domain !== "state") recordCount += await compareType(read, resource, replay);
  }
  const findings = [...damage, ...replay.findings];
  return { entryCount: replay.entryCount, recordCount, findings };
}
