/**
 * What a follower writes: entries of its leader's log, and pages of its snapshot.
 *
 * Entries keep the sequence and epoch their leader gave them, so that the replica's log equals the
 * leader's. A row changes only when the entry's version is newer than the row or its tombstone: a
 * snapshot may be ahead of the log behind it, and applying twice equals applying once.
 */
import { followHead } from "../lease/lease.ts";
import { SyncError } from "../protocol/errors.ts";
import { BULK_MODEL_TYPE, appendEntries, redactDeleted } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { Registry } from "../resource/registry.ts";
import { guardOf, isRefused } from "../store/failure.ts";
import type { RowsStatement, Statement } from "../store/database.ts";
import type { CommittedEntry } from "./group.ts";
import { loadSlots } from "./load.ts";
import { absent, slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";
import type { RawOptions } from "./raw.ts";
import { completeRow } from "./validate.ts";
import { writeRows } from "./write.ts";

/** Entries that follow the replica's head without a gap, and the epoch of whoever sent them. */
export interface RemotePage {
  readonly entries: readonly LogEntry[];
  readonly epoch: number;
}

function undecodable(entry: LogEntry, message: string): SyncError {
  const path = `${entry.modelType} ${entry.recordId}`;
  const detail = `Entry ${entry.sequence} (${path}) cannot be applied: ${message}`;
  return new SyncError("invalid_record", { issues: [{ path, message }] }, { detail });
}

/** The resource an entry is about; the one entry of a bulk names it inside. @throws unknown_resource_type */
function resourceOf(entry: LogEntry, registry: Registry): CompiledResource {
  const isBulk = entry.modelType === BULK_MODEL_TYPE;
  const type = isBulk ? String(entry.data?.["model"]) : entry.modelType;
  const resource = registry.find(type);
  if (resource === undefined) {
    const detail = `Entry ${entry.sequence} is of type "${type}", which this device does not know yet: upgrade it.`;
    throw new SyncError("unknown_resource_type", { resourceType: type }, { detail });
  }
  if (resource.domain === "state") {
    throw undecodable(entry, "records of domain state do not travel (I8).");
  }
  return resource;
}

/** Takes the fields that travelled. A field this device does not know means that it must be upgraded. */
export function assignFields(
  row: Row,
  fields: Readonly<Record<string, unknown>>,
  resource: CompiledResource,
): Row {
  const known = new Set(resource.synced.map(({ name }) => name));
  for (const [name, value] of Object.entries(fields)) {
    if (!known.has(name)) {
      const message = `the field "${name}" is not known here: upgrade this device.`;
      throw new SyncError("invalid_record", { issues: [{ path: name, message }] });
    }
    row[name] = value;
  }
  return completeRow(resource, row);
}

function apply(entry: LogEntry, slot: Slot): Slot {
  const { resource, id, row, tombstone } = slot;
  const current = row === null ? tombstone : (row["version"] as number);
  if (entry.version <= current) return slot;
  if (entry.changeType === "delete") return { resource, id, row: null, tombstone: entry.version };
  // A payload that was redacted: its record's delete stands later in the log.
  if (entry.data === null) return slot;
  const stamp = entry.timestampMs;
  const base = row ?? { id, created_at: stamp, origin_device_id: entry.deviceId };
  const next = { ...base, version: entry.version, updated_at: stamp };
  try {
    return { resource, id, row: assignFields(next, entry.data, resource), tombstone: 0 };
  } catch (error) {
    throw undecodable(entry, error instanceof SyncError ? firstMessage(error) : String(error));
  }
}

function firstMessage(error: SyncError): string {
  const issues = "issues" in error.facts ? error.facts.issues : undefined;
  return issues?.[0]?.message ?? error.message;
}

function rememberMutations(entries: readonly LogEntry[]): Statement[] {
  const ranges = new Map<string, [string, number, number, number]>();
  for (const { mutationId, sequence, timestampMs } of entries) {
    if (mutationId === null) continue;
    const first = ranges.get(mutationId)?.[1] ?? sequence;
    ranges.set(mutationId, [mutationId, first, sequence, timestampMs]);
  }
  if (ranges.size === 0) return [];
  return [
    {
      sql: `INSERT OR IGNORE INTO mutations (mutation_id, fingerprint, first_sequence, last_sequence, created_at)
        SELECT value->>0, '', value->>1, value->>2, value->>3 FROM json_each(?)`,
      args: [JSON.stringify([...ranges.values()])],
    },
  ];
}

/**
 * Rows whose resources refer to each other in a circle: first without that reference, then, when
 * every row stands, with it.
 */
function breakCycles(
  statements: readonly (Statement | RowsStatement)[],
  ordered: readonly CompiledResource[],
): (Statement | RowsStatement)[] {
  const resourceIn = (statement: Statement | RowsStatement) =>
    "rows" in statement ? ordered.find(({ sql }) => sql.upsert.all === statement.all) : undefined;
  const second: RowsStatement[] = [];
  const first = statements.map((statement) => {
    const resource = resourceIn(statement);
    const key = resource?.definition.sync.breakCycle;
    if (resource === undefined || key === undefined || !("rows" in statement)) return statement;
    const place = resource.columns.findIndex((column) => column.key === key);
    second.push(statement);
    return { ...statement, rows: statement.rows.map((row) => row.with(place, null)) };
  });
  const at = first.findLastIndex((statement) => resourceIn(statement) !== undefined) + 1;
  return [...first.slice(0, at), ...second, ...first.slice(at)];
}

interface RemotePlan {
  readonly committed: readonly CommittedEntry[];
  readonly statements: readonly (Statement | RowsStatement)[];
}

async function plan(options: RawOptions, page: RemotePage): Promise<RemotePlan> {
  const { database, registry, state } = options;
  const { entries, epoch } = page;
  const wanted = entries.map((entry) => ({
    resource: resourceOf(entry, registry),
    id: entry.recordId,
  }));
  const isRecord = (index: number) => entries[index]?.modelType !== BULK_MODEL_TYPE;
  const known = await loadSlots(
    database.readPrimary,
    wanted.filter((_, index) => isRecord(index)),
  );
  const current = new Map(known.slots);
  const committed = entries.map((entry, index): CommittedEntry => {
    const resource = wanted[index]?.resource ?? resourceOf(entry, registry);
    const nothing = absent(resource, entry.recordId);
    if (!isRecord(index)) return { entry, slot: nothing };
    const key = slotKey(resource.type, entry.recordId);
    const slot = apply(entry, current.get(key) ?? nothing);
    current.set(key, slot);
    return { entry, slot };
  });
  const transitions = [...current].flatMap(([key, after]) => {
    const before = known.slots.get(key);
    return before === undefined || before === after ? [] : [{ before, after }];
  });
  const head = state.head + entries.length;
  const context = { ordered: registry.resources, sequence: head, now: options.now() };
  const statements = [
    followHead(state.head, head, epoch),
    ...breakCycles(writeRows(transitions, context), registry.resources),
    appendEntries(entries),
    ...redactDeleted(entries),
    ...rememberMutations(entries),
  ];
  return { committed, statements };
}

/** A new leader that has written nothing yet: the replica must know its epoch to be promoted past it. */
async function followEpoch({ database, state }: RawOptions, epoch: number): Promise<void> {
  const { head } = state;
  await database.write([followHead(head, head, epoch)]);
  state.epoch = epoch;
}

/**
 * After an error that says nothing about the write, the replica may stand further than it knows, and
 * every page from there on would be refused (GUARD:follow). Answers how many entries it has more.
 */
async function countUnknown({ database, state }: RawOptions, error: unknown): Promise<number> {
  if (isRefused(error) && guardOf(error) !== "follow") return 0;
  const [rows = []] = await database.readPrimary([{ sql: "SELECT head FROM library", args: [] }]);
  return Math.max(0, Number(rows[0]?.[0] ?? 0) - state.head);
}

/** Divides entries into their transactions, which are applied whole (GAP-20). */
function byTransaction(entries: readonly LogEntry[]): LogEntry[][] {
  const groups: LogEntry[][] = [];
  for (const entry of entries) {
    const last = groups.at(-1);
    if (last?.[0]?.transactionId === entry.transactionId) last.push(entry);
    else groups.push([entry]);
  }
  return groups;
}

/**
 * Applies entries of the leader, with the replica's head, in one transaction; entries at or before
 * the head change nothing. What cannot be applied stops at its own transaction: those before it
 * are applied, it and those behind it are not, and it is never skipped.
 *
 * @throws unknown_resource_type, invalid_record, or what the database refuses
 */
export async function applyRemote(options: RawOptions, page: RemotePage): Promise<void> {
  const { state } = options;
  const entries = page.entries.filter(({ sequence }) => sequence > state.head);
  if (entries.length === 0) {
    if (page.epoch > state.epoch) await followEpoch(options, page.epoch);
    return;
  }
  entries.forEach(({ sequence }, index) => {
    if (sequence === state.head + index + 1) return;
    const detail = `The leader sent entry ${sequence} where ${state.head + index + 1} was due.`;
    throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  });
  const advance = (committed: readonly CommittedEntry[]): void => {
    state.head += committed.length;
    state.epoch = page.epoch;
    options.onCommitted(committed);
  };
  const timing = options.telemetry.time("follower.apply");
  let planned: RemotePlan | null = null;
  try {
    planned = await plan(options, { ...page, entries });
    timing?.mark("plan");
    await options.database.write(planned.statements);
    timing?.mark("write");
    advance(planned.committed);
    timing?.end({
      library_id: state.id,
      epoch: state.epoch,
      head: state.head,
      entries: entries.length,
    });
  } catch (error) {
    const unknownCount = planned === null ? 0 : await countUnknown(options, error);
    if (planned !== null && unknownCount > 0) {
      advance(planned.committed.slice(0, unknownCount));
      await applyRemote(options, page);
      return;
    }
    const transactions = byTransaction(entries);
    const isPoison =
      error instanceof SyncError
        ? error.code === "unknown_resource_type" || error.code === "invalid_record"
        : isRefused(error) && guardOf(error) === null;
    if (!isPoison || transactions.length === 1) throw error;
    for (const one of transactions) await applyRemote(options, { ...page, entries: one });
  }
}
