import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import { advanceHead } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { BULK_MODEL_TYPE, appendEntries } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { SyncError, isSyncError, toProblem, withIndex } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { Registry } from "../resource/registry.ts";
import { isRefused } from "../store/database.ts";
import type { Database, Statement } from "../store/database.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Author } from "./change.ts";
import type { Committer } from "./committer.ts";
import type { CommittedEntry } from "./group.ts";
import { loadSlots } from "./load.ts";
import { toChange } from "./manager.ts";
import { applyChange, slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";
import { writeRows } from "./write.ts";

export type BulkMode = "insert" | "upsert" | "delete";

/** A record of the stream, or what was wrong with its bytes. */
export type BulkRecord = Readonly<Record<string, unknown>> | SyncError;

export interface BulkRequest {
  readonly resource: CompiledResource;
  readonly mode: BulkMode;
  /** The caller's name for the operation; the same token continues it. */
  readonly token: string;
  readonly hints: Readonly<Record<string, unknown>>;
  readonly author: Author;
  /** `skip` counts a bad record and goes on; by default the first one ends the operation. */
  readonly onError: "stop" | "skip";
  readonly records: AsyncIterable<BulkRecord>;
}

export interface BulkFailure {
  readonly index: number;
  readonly problem: Problem;
}

export interface BulkReceipt {
  readonly token: string;
  readonly state: "running" | "complete" | "interrupted";
  readonly affectedCount: number;
  readonly failedCount: number;
  readonly sequence: number | null;
  readonly failures: readonly BulkFailure[];
  readonly replayed: boolean;
}

/** Writes streams of records, chunk by chunk, and leaves one entry (BULK-01). */
export interface Bulk {
  run(request: BulkRequest): Promise<BulkReceipt>;
  find(token: string): Promise<BulkReceipt | null>;
  /** Announces what a node left unfinished when it died, with the true count. */
  closeInterrupted(): Promise<void>;
}

export interface BulkOptions {
  readonly database: Database;
  readonly committer: Committer;
  readonly registry: Registry;
  readonly state: LibraryState;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly onCommitted: (committed: readonly CommittedEntry[]) => void;
}

/** The row of `bulk_operations`. */
interface Operation {
  readonly token: string;
  readonly resourceType: string;
  readonly mode: BulkMode;
  state: "running" | "complete" | "interrupted";
  readonly deviceId: string;
  readonly hints: string;
  firstRecordId: string | null;
  receivedCount: number;
  affectedCount: number;
  failedCount: number;
  sequence: number | null;
  failures: BulkFailure[];
}

const COLUMNS = `token, resource_type, mode, state, device_id, hints, first_record_id, received_count,
  affected_count, failed_count, sequence, answer`;

function toOperation(row: readonly unknown[]): Operation {
  return {
    token: row[0] as string,
    resourceType: row[1] as string,
    mode: row[2] as BulkMode,
    state: row[3] as Operation["state"],
    deviceId: row[4] as string,
    hints: row[5] as string,
    firstRecordId: row[6] as string | null,
    receivedCount: row[7] as number,
    affectedCount: row[8] as number,
    failedCount: row[9] as number,
    sequence: row[10] as number | null,
    failures: row[11] === null ? [] : (JSON.parse(row[11] as string) as BulkFailure[]),
  };
}

function saveOperation(operation: Operation, now: number): Statement {
  return {
    sql: `INSERT INTO bulk_operations (${COLUMNS}, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (token) DO UPDATE SET state = excluded.state, first_record_id = excluded.first_record_id,
      received_count = excluded.received_count, affected_count = excluded.affected_count,
      failed_count = excluded.failed_count, sequence = excluded.sequence, answer = excluded.answer,
      updated_at = excluded.updated_at`,
    args: [
      operation.token,
      operation.resourceType,
      operation.mode,
      operation.state,
      operation.deviceId,
      operation.hints,
      operation.firstRecordId,
      operation.receivedCount,
      operation.affectedCount,
      operation.failedCount,
      operation.sequence,
      JSON.stringify(operation.failures),
      now,
    ],
  };
}

const toReceipt = (operation: Operation, replayed: boolean): BulkReceipt => ({
  token: operation.token,
  state: operation.state,
  affectedCount: operation.affectedCount,
  failedCount: operation.failedCount,
  sequence: operation.sequence,
  failures: operation.failures,
  replayed,
});

interface Numbered {
  readonly index: number;
  readonly record: BulkRecord;
}

export function createBulk(options: BulkOptions): Bulk {
  const { database, committer, registry, state, clock, limits, telemetry } = options;
  const running = new Set<string>();

  const find = async (token: string): Promise<Operation | null> => {
    const [rows = []] = await database.read([
      { sql: `SELECT ${COLUMNS} FROM bulk_operations WHERE token = ?`, args: [token] },
    ]);
    return rows[0] === undefined ? null : toOperation(rows[0]);
  };

  /** Writes the operation's one entry; `interrupted` says that it stands for a part only. */
  const finish = (operation: Operation, outcome: "complete" | "interrupted"): Promise<void> =>
    committer.exclusive(async () => {
      const done: Operation = { ...operation, state: outcome, sequence: state.head + 1 };
      const data = {
        operation: operation.mode === "insert" ? "Import" : "Maintenance",
        model: operation.resourceType,
        mode: operation.mode,
        token: operation.token,
        affected_count: operation.affectedCount,
        hints: JSON.parse(operation.hints) as Record<string, unknown>,
        ...(outcome === "interrupted" ? { interrupted: true } : {}),
      };
      const resource = registry.find(operation.resourceType);
      const entry: LogEntry = {
        sequence: state.head + 1,
        epoch: state.epoch,
        transactionId: createId(),
        deviceId: operation.deviceId,
        mutationId: null,
        timestampMs: clock.now(),
        domain: resource?.domain ?? "metadata",
        modelType: BULK_MODEL_TYPE,
        recordId: operation.token,
        changeType: "bulk_insert",
        version: 1,
        operation: null,
        data,
      };
      await database.write([
        advanceHead(state, 1),
        appendEntries([entry]),
        saveOperation(done, clock.now()),
      ]);
      Object.assign(operation, done);
      state.head += 1;
      if (resource === undefined) return;
      options.onCommitted([
        { entry, slot: { resource, id: operation.token, row: null, tombstone: 0 } },
      ]);
    });

  const fail = (operation: Operation, index: number, error: SyncError): void => {
    operation.failedCount += 1;
    if (operation.failures.length < limits.bulkFailures) {
      operation.failures.push({ index, problem: toProblem(withIndex(error, index)) });
    }
  };

  /** Writes one chunk in one transaction. Answers the first bad record when that must end it. */
  const writeChunk = async (
    request: BulkRequest,
    operation: Operation,
    chunk: readonly Numbered[],
  ): Promise<SyncError | null> => {
    const { resource, mode, author } = request;
    const next: Operation = { ...operation, failures: [...operation.failures] };
    const ids = chunk.flatMap(({ record }) =>
      record instanceof SyncError || typeof record["id"] !== "string"
        ? []
        : [{ resource, id: record["id"].toLowerCase() }],
    );
    const { slots } = await loadSlots(database, ids);
    const before = new Map(slots);
    let stopped: SyncError | null = null;
    for (const { index, record } of chunk) {
      next.receivedCount += 1;
      try {
        const effect = applyRecord(record, { resource, mode, author, slots });
        next.firstRecordId ??=
          index === 0 && !(record instanceof SyncError) ? String(record["id"]) : null;
        if (effect) next.affectedCount += 1;
      } catch (error) {
        if (!isSyncError(error)) throw error;
        if (request.onError === "stop") {
          stopped = withIndex(error, index);
          next.receivedCount -= 1;
          break;
        }
        fail(next, index, error);
      }
    }
    const transitions = [...slots].flatMap(([key, after]) => {
      const old = before.get(key);
      return old === undefined || old === after ? [] : [{ before: old, after }];
    });
    const context = { ordered: registry.resources, sequence: state.head, now: clock.now() };
    try {
      await database.write([
        advanceHead(state, 0),
        ...writeRows(transitions, context),
        saveOperation(next, clock.now()),
      ]);
    } catch (error) {
      if (!isRefused(error) || chunk.length === 0) throw error;
      return splitChunk(request, operation, chunk);
    }
    Object.assign(operation, next);
    telemetry.count("bulk_records", transitions.length);
    return stopped;
  };

  /** The database refused the chunk for one record's sake: halve until it stands alone. */
  const splitChunk = async (
    request: BulkRequest,
    operation: Operation,
    chunk: readonly Numbered[],
  ): Promise<SyncError | null> => {
    const [only] = chunk;
    if (chunk.length === 1 && only !== undefined) {
      const issues = [
        { path: "", message: "The database refuses this record: a value is in use by another." },
      ];
      const error = new SyncError("invalid_record", { issues, index: only.index });
      return request.onError === "stop"
        ? error
        : writeChunk(request, operation, [{ index: only.index, record: error }]);
    }
    const middle = chunk.length >> 1;
    const first = await writeChunk(request, operation, chunk.slice(0, middle));
    return first ?? writeChunk(request, operation, chunk.slice(middle));
  };

  const applyRecord = (
    record: BulkRecord,
    context: {
      resource: CompiledResource;
      mode: BulkMode;
      author: Author;
      slots: Map<string, Slot>;
    },
  ): boolean => {
    const { resource, mode, author, slots } = context;
    if (record instanceof SyncError) throw record;
    if (typeof record["id"] !== "string" || !/^[0-9a-f-]{36}$/i.test(record["id"])) {
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
    const lookup = () => slots.get(key) ?? { resource, id: change.id, row: null, tombstone: 0 };
    const effect = applyChange(change, lookup, { author, now: clock.now() });
    if (effect !== null) slots.set(key, effect.slot);
    return effect !== null;
  };

  const stream = async (request: BulkRequest, operation: Operation): Promise<void> => {
    // The same body again: what is stored is passed over. A body that begins elsewhere continues.
    let toSkip = operation.receivedCount;
    let index = 0;
    let chunk: Numbered[] = [];
    const flush = async (): Promise<void> => {
      const full = chunk;
      chunk = [];
      const stopped = await committer.exclusive(() => writeChunk(request, operation, full));
      if (stopped === null) return;
      await finish(operation, "interrupted");
      throw stopped;
    };
    for await (const record of request.records) {
      if (index === 0 && toSkip > 0) {
        const id = record instanceof SyncError ? null : record["id"];
        if (id !== operation.firstRecordId) {
          index = toSkip;
          toSkip = 0;
        }
      }
      if (index >= toSkip) chunk.push({ index, record });
      index += 1;
      if (chunk.length >= limits.bulkChunk) await flush();
    }
    if (chunk.length > 0) await flush();
  };

  return {
    find: async (token) => {
      const operation = await find(token);
      return operation === null ? null : toReceipt(operation, false);
    },
    run: async (request) => {
      const { token, resource, mode, author } = request;
      const known = await find(token);
      if (known !== null && (known.resourceType !== resource.type || known.mode !== mode)) {
        throw new SyncError("mutation_reused", { mutationId: token });
      }
      if (known?.state === "complete") return toReceipt(known, true);
      if (running.has(token)) {
        const detail = "This bulk operation is running; ask for its state, or try again.";
        throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
      }
      const operation: Operation = known ?? {
        token,
        resourceType: resource.type,
        mode,
        state: "running",
        deviceId: author.deviceId,
        hints: JSON.stringify(request.hints),
        firstRecordId: null,
        receivedCount: 0,
        affectedCount: 0,
        failedCount: 0,
        sequence: null,
        failures: [],
      };
      operation.state = "running";
      running.add(token);
      try {
        await committer.exclusive(() => database.write([saveOperation(operation, clock.now())]));
        await stream(request, operation);
        await finish(operation, "complete");
        return toReceipt(operation, false);
      } catch (error) {
        if (operation.state === "running") await finish(operation, "interrupted").catch(() => {});
        throw error;
      } finally {
        running.delete(token);
      }
    },
    closeInterrupted: async () => {
      const [rows = []] = await database.read([
        { sql: `SELECT ${COLUMNS} FROM bulk_operations WHERE state = 'running'`, args: [] },
      ]);
      for (const row of rows) {
        const operation = toOperation(row);
        // What still runs here goes on under the new epoch.
        if (!running.has(operation.token)) await finish(operation, "interrupted");
      }
    },
  };
}
