import { BULK_MODEL_TYPE } from "../log/sync-log.ts";
import { toFields } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import { isEqualJson } from "../resource/conflict.ts";
import { recordHash } from "../commit/write.ts";
import { HASH_MASK } from "../base/hash.ts";
import type { Registry } from "../resource/registry.ts";
import { readPages } from "../store/pages.ts";
import type { Read } from "../store/database.ts";
import { createFindings } from "./findings.ts";
import type { Findings } from "./findings.ts";

export interface Examination {
  readonly entryCount: number;
  readonly recordCount: number;
  readonly differenceCount: number;
  /** Sentences, the first of each kind of difference; empty when all agrees. */
  readonly findings: readonly string[];
}

export interface ExamineOptions {
  /** Called now and then with how many entries or records were looked at since the last call. */
  readonly onProgress?: (count: number) => void;
}

/** What the log says as a whole. */
interface Scan {
  readonly entryCount: number;
  /** Whether the log begins later than the library: then older records have no entry any more. */
  readonly isTrimmed: boolean;
  /**
   * For each type that bulk operations wrote, the sequence up to which they may have overruled an entry:
   * their records need none of their own.
   */
  readonly bulks: ReadonlyMap<string, number>;
  /** A copy in or behind a snapshot has records that its log is yet to come to. */
  readonly isAhead: boolean;
}

/** Everything an examination passes on. */
interface Examining extends Required<ExamineOptions> {
  readonly read: Read;
  readonly findings: Findings;
}

const SCANNED = 10_000;

/** Goes through the log from its oldest entry; its sequences are dense (I1), and its epochs only rise (I3). */
async function scanLog({ read, findings, onProgress }: Examining): Promise<Scan> {
  const [rows = [], running = [], ahead = []] = await read([
    { sql: "SELECT head, oldest_sequence FROM library", args: [] },
    // One that goes on, or whose node died, has written records and no entry yet.
    { sql: "SELECT resource_type FROM bulk_operations WHERE state = 'running'", args: [] },
    {
      sql: `SELECT 1 FROM follower, library
        WHERE snapshot_types IS NOT NULL OR coalesce(snapshot_sequence, 0) > head`,
      args: [],
    },
  ]);
  const [head = 0, oldest = 1] = (rows[0] ?? []) as number[];
  const bulks = new Map<string, number>();
  let expected = oldest;
  let epoch = 0;
  let entryCount = 0;
  const sql = `SELECT sequence, epoch, CASE WHEN model_type = ? THEN data->>'model' END FROM sync_log
    WHERE sequence >= ? ORDER BY sequence LIMIT ?`;
  for (;;) {
    const [page = []] = await read([{ sql, args: [BULK_MODEL_TYPE, expected, SCANNED] }]);
    if (page.length === 0) break;
    for (const [sequence, itsEpoch, bulkType] of page as [number, number, string | null][]) {
      if (sequence !== expected)
        findings.add("I1", `I1: the log jumps from ${expected - 1} to ${sequence}.`);
      expected = sequence + 1;
      if (itsEpoch < epoch)
        findings.add(
          "I3",
          `I3: the entry ${sequence} is of epoch ${itsEpoch}, one before it of ${epoch}.`,
        );
      epoch = Math.max(epoch, itsEpoch);
      if (bulkType !== null) bulks.set(bulkType, sequence);
    }
    entryCount += page.length;
    onProgress(page.length);
  }
  if (expected - 1 !== head)
    findings.add("I1 head", `I1: the head is ${head}, the log ends at ${expected - 1}.`);
  for (const [type] of running) bulks.set(type as string, Infinity);
  return { entryCount, isTrimmed: oldest > 1, bulks, isAhead: ahead.length > 0 };
}

/** What the log says last of one record; null fields when it was deleted. */
interface Logged {
  readonly id: string;
  readonly sequence: number;
  readonly version: number;
  readonly fields: Readonly<Record<string, unknown>> | null;
}

/** Entries read at once: each may be of half a megabyte. */
const LOGGED = 200;

/** The last entry of each record of a type, in the order of ids. */
async function* readLogged(read: Read, type: string): AsyncGenerator<Logged> {
  const sql = `SELECT entry.record_id, entry.sequence, entry.version, entry.data
    FROM (SELECT record_id, max(sequence) AS sequence FROM sync_log WHERE model_type = ? AND record_id > ?
      GROUP BY record_id ORDER BY record_id LIMIT ?) AS last
    JOIN sync_log AS entry USING (sequence) ORDER BY entry.record_id`;
  for (let after = ""; ;) {
    const [rows = []] = await read([{ sql, args: [type, after, LOGGED] }]);
    for (const [id, sequence, version, data] of rows as [string, number, number, string | null][]) {
      const fields = data === null ? null : (JSON.parse(data) as Record<string, unknown>);
      yield { id, sequence, version, fields };
      after = id;
    }
    if (rows.length < LOGGED) return;
  }
}

/** What a row and the last entry of its record do not agree in (I2), as its kind and a sentence. */
function compareRecord(
  resource: CompiledResource,
  { row, logged }: { readonly row: Row; readonly logged: Logged | null },
  scan: Scan,
): readonly [kind: string, said: string] | null {
  const { bulks, isTrimmed, isAhead } = scan;
  const overruled = bulks.get(resource.type);
  if (logged === null)
    return overruled === undefined && !isTrimmed && !isAhead ? ["unlogged", "has no entry."] : null;
  const version = row["version"] as number;
  if (logged.version === version)
    return isEqualJson(logged.fields, toFields(resource, row))
      ? null
      : ["other fields", `differs from its entry of version ${version}.`];
  const mayBeNewer = isAhead || logged.sequence < (overruled ?? 0);
  return mayBeNewer && version > logged.version
    ? null
    : ["other version", `has version ${version}, its entry ${logged.version}.`];
}

/** Compares the live rows of one type with what the log says, both in the order of ids, and their checksum. */
async function compareType(
  { read, findings, onProgress }: Examining,
  resource: CompiledResource,
  scan: Scan,
): Promise<number> {
  const { type } = resource;
  const note = (id: string, [kind, said]: readonly [string, string]): void =>
    findings.add(`${type} ${kind}`, `I2: ${type} ${id} ${said}`);
  const noteGone = ({ id, fields, sequence }: Logged): void => {
    if (fields !== null && !scan.isAhead && sequence > (scan.bulks.get(type) ?? 0))
      note(id, ["gone", "is in the log, but has no row."]);
  };
  const entries = readLogged(read, type);
  const next = async (): Promise<Logged | null> => (await entries.next()).value ?? null;
  let count = 0;
  let sum = 0;
  let logged = await next();
  for await (const rows of readPages(read, resource)) {
    for (const row of rows) {
      const id = row["id"] as string;
      for (; logged !== null && logged.id < id; logged = await next()) noteGone(logged);
      const found = logged?.id === id ? logged : null;
      const difference = compareRecord(resource, { row, logged: found }, scan);
      if (difference !== null) note(id, difference);
      if (found !== null) logged = await next();
      count += 1;
      sum = (sum + recordHash(resource, row)) % (HASH_MASK + 1);
    }
    onProgress(rows.length);
  }
  for (; logged !== null; logged = await next()) noteGone(logged);
  const [kept = []] = await read([
    { sql: "SELECT count, sum FROM checksums WHERE resource_type = ?", args: [type] },
  ]);
  const [keptCount = 0, keptSum = 0] = (kept[0] ?? []) as number[];
  if (keptCount !== count)
    findings.add(
      "checksum",
      `The checksum of ${type} counts ${keptCount}, its table has ${count}.`,
    );
  else if (keptSum !== sum)
    findings.add("checksum", `The checksum of ${type} is not that of its rows.`);
  return count;
}

/** What SQLite itself finds wrong with the file. */
async function findDamage({ read, findings }: Examining): Promise<void> {
  const [rows = []] = await read([{ sql: "PRAGMA integrity_check(20)", args: [] }]);
  for (const [said] of rows) if (said !== "ok") findings.add("damage", said as string);
}

/**
 * Replays the log over nothing and compares what it gives with the live rows. Only reads, and a page at
 * a time, so that a log of any length fits.
 */
export async function examineLibrary(
  read: Read,
  registry: Registry,
  { onProgress = () => {} }: ExamineOptions = {},
): Promise<Examination> {
  const findings = createFindings();
  const examining: Examining = { read, findings, onProgress };
  await findDamage(examining);
  const scan = await scanLog(examining);
  let recordCount = 0;
  for (const resource of registry.resources) {
    if (resource.domain !== "state") recordCount += await compareType(examining, resource, scan);
  }
  const { entryCount } = scan;
  return { entryCount, recordCount, differenceCount: findings.count, findings: findings.list() };
}
