import type { Clock } from "../base/clock.ts";
import { isId } from "../base/id.ts";
import { advanceHead } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { redactBefore } from "../log/sync-log.ts";
import { SyncError, isSyncError, toProblem, withIndex } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import { guardOf, isRefused } from "../store/failure.ts";
import type { Database, Statement } from "../store/database.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { saveOperation } from "./bulk-operation.ts";
import type { BulkOperation } from "./bulk-operation.ts";
import type { BulkRecord, BulkRequest } from "./bulk-request.ts";
import { loadSlots } from "./load.ts";
import { absent, applyChange, slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";
import { toChange } from "./submission.ts";
import { writeRows } from "./write.ts";
import type { Transition } from "./write.ts";

export interface ChunkOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly state: LibraryState;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

/** A record and its place in the stream. */
export interface Numbered {
  readonly index: number;
  readonly record: BulkRecord;
}

/** A chunk of an operation, to be written. */
interface Work {
  readonly operation: BulkOperation;
  readonly chunk: readonly Numbered[];
  /** True when some record may be there already, so that all are looked up first. */
  readonly isCareful?: boolean | undefined;
}

/** What a chunk does to the operation and to the records it names. */
interface Draft {
  readonly next: BulkOperation;
  readonly transitions: readonly Transition[];
  /** The first bad record, when that must end the operation. */
  readonly stopped: SyncError | null;
}

/** What a body that is sent again is known by in its first record, good or bad; null for none. */
export function nameOf(record: BulkRecord): string | null {
  return record instanceof SyncError ? null : String(record["id"]);
}

function applyRecord(
  options: ChunkOptions,
  record: BulkRecord,
  { request, slots }: { readonly request: BulkRequest; readonly slots: Map<string, Slot> },
): boolean {
  const { registry, limits, clock } = options;
  const { resource, mode, author } = request;
  if (record instanceof SyncError) throw record;
  if (!isId(record["id"])) {
    throw new SyncError("invalid_record", {
      issues: [{ path: "id", message: "A UUID is needed." }],
    });
  }
  const change = toChange(
    { resource_type: resource.type, operation: mode, id: record["id"], data: record },
    registry,
    limits,
  );
  const key = slotKey(resource.type, change.id);
  const lookup = () => slots.get(key) ?? absent(resource, change.id);
  const effect = applyChange(change, lookup, { author, now: clock.now() });
  if (effect !== null) slots.set(key, effect.slot);
  return effect !== null;
}

/** The records that a chunk names, as they stand; the ids that `before` lacks are free. Null: too much at once. */
async function loadChunk(
  { database, limits }: ChunkOptions,
  { resource }: BulkRequest,
  chunk: readonly Numbered[],
): Promise<ReadonlyMap<string, Slot> | null> {
  const ids = chunk.flatMap(({ record }) =>
    record instanceof SyncError || typeof record["id"] !== "string"
      ? []
      : [{ resource, id: record["id"].toLowerCase() }],
  );
  const limitBytes = limits.transactionBytes;
  try {
    return (await loadSlots(database.readPrimary, ids, { limitBytes })).slots;
  } catch (error) {
    if (isSyncError(error, "body_too_large") && chunk.length > 1) return null;
    throw error;
  }
}

function draftChunk(
  options: ChunkOptions,
  request: BulkRequest,
  { operation, chunk, before }: Work & { readonly before: ReadonlyMap<string, Slot> },
): Draft {
  const { resource } = request;
  const next: BulkOperation = { ...operation, failures: [...operation.failures] };
  const slots = new Map(before);
  let stopped: SyncError | null = null;
  for (const { index, record } of chunk) {
    if (index === 0) next.firstRecordId = nameOf(record);
    try {
      if (applyRecord(options, record, { request, slots })) next.affectedCount += 1;
    } catch (error) {
      if (!isSyncError(error)) throw error;
      if (request.onError === "stop") {
        stopped = withIndex(error, index);
        break;
      }
      next.failedCount += 1;
      if (next.failures.length < options.limits.bulkFailures) {
        next.failures.push({ index, problem: toProblem(withIndex(error, index)) });
      }
    }
    next.receivedCount += 1;
    next.lastRecordId = nameOf(record);
  }
  const transitions: Transition[] = [];
  for (const [key, after] of slots) {
    const old = before.get(key) ?? absent(resource, after.id);
    if (old !== after) transitions.push({ before: old, after });
  }
  return { next, transitions, stopped };
}

/** True when ids that are free have never been used: a record that comes again needs a higher version. */
async function isFresh({ database }: ChunkOptions, { resource }: BulkRequest): Promise<boolean> {
  const sql = "SELECT 1 FROM tombstones WHERE model_type = ? LIMIT 1";
  const [rows = []] = await database.readPrimary([{ sql, args: [resource.type] }]);
  return rows.length === 0;
}

/** What the log says of records that a bulk deletes, all of it before this chunk (LOG-14). */
function redactGone(transitions: readonly Transition[], { head }: LibraryState): Statement[] {
  const gone = transitions.filter(({ after }) => after.row === null);
  if (gone.length === 0) return [];
  return [redactBefore(gone.map(({ after: { resource, id } }) => [resource.type, id, head + 1]))];
}

/** Writes one chunk in one transaction. Answers the first bad record when that must end it. */
export async function writeChunk(
  options: ChunkOptions,
  request: BulkRequest,
  work: Work,
): Promise<SyncError | null> {
  const { database, registry, state, clock, telemetry } = options;
  const { operation, chunk, isCareful = false } = work;
  const timing = telemetry.time("commit.bulk_chunk");
  // Inserts are written as if every id were free; the database says when one is not.
  const areNew = !isCareful && request.mode === "insert" && (await isFresh(options, request));
  const before = areNew ? new Map<string, Slot>() : await loadChunk(options, request, chunk);
  if (before === null) return splitChunk(options, request, work);
  timing?.mark("read");
  const { next, transitions, stopped } = draftChunk(options, request, { ...work, before });
  timing?.mark("plan");
  const context = { ordered: registry.resources, sequence: state.head, now: clock.now(), areNew };
  try {
    await database.write([
      advanceHead(state, 0),
      ...writeRows(transitions, context),
      ...redactGone(transitions, state),
      saveOperation(next, clock.now()),
    ]);
  } catch (error) {
    // A guard speaks of the whole library, not of one record.
    if (!isRefused(error) || guardOf(error) !== null || chunk.length === 0) throw error;
    if (areNew) return writeChunk(options, request, { ...work, isCareful: true });
    return splitChunk(options, request, work);
  }
  timing?.mark("write");
  timing?.end({
    library_id: state.id,
    token: operation.token,
    resource_type: request.resource.type,
    records: chunk.length,
    written: transitions.length,
  });
  Object.assign(operation, next);
  telemetry.count("bulk_records", transitions.length);
  return stopped;
}

/** The chunk is too much at once, or refused for one record's sake: halve until that stands alone. */
async function splitChunk(
  options: ChunkOptions,
  request: BulkRequest,
  { operation, chunk, isCareful }: Work,
): Promise<SyncError | null> {
  const [only] = chunk;
  const write = (part: readonly Numbered[]) =>
    writeChunk(options, request, { operation, chunk: part, isCareful });
  if (chunk.length === 1 && only !== undefined) {
    const message = "The database refuses this record: a value is in use by another.";
    const issues = [{ path: "", message }];
    const error = new SyncError("invalid_record", { issues, index: only.index });
    return request.onError === "stop" ? error : write([{ index: only.index, record: error }]);
  }
  const middle = chunk.length >> 1;
  const first = await write(chunk.slice(0, middle));
  return first ?? write(chunk.slice(middle));
}
