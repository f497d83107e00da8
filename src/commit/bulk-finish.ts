import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import { advanceHead } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { BULK_MODEL_TYPE, appendEntries } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import type { Span } from "../telemetry/telemetry.ts";
import { saveOperation } from "./bulk-operation.ts";
import type { BulkOperation } from "./bulk-operation.ts";
import type { CommittedEntry } from "./group.ts";
import type { BulkPurpose } from "../resource/define.ts";
import { absent } from "./plan.ts";

export interface FinishOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly state: LibraryState;
  readonly clock: Clock;
  readonly onCommitted: (committed: readonly CommittedEntry[], span?: Span) => void;
}

/** What the caller calls it in its hints, else what its mode suggests. */
function purposeOf(
  mode: BulkOperation["mode"],
  { operation }: Record<string, unknown>,
): BulkPurpose {
  if (typeof operation === "string" && /^\w{1,64}$/.test(operation)) return operation;
  return mode === "insert" ? "Import" : "Maintenance";
}

/** The one entry of an operation; `interrupted` says that it stands for a part only. */
function toEntry(
  { registry, state, clock }: FinishOptions,
  operation: BulkOperation,
  outcome: "complete" | "interrupted",
): LogEntry {
  const hints = JSON.parse(operation.hints) as Record<string, unknown>;
  const data = {
    operation: purposeOf(operation.mode, hints),
    model: operation.resourceType,
    mode: operation.mode,
    token: operation.token,
    affected_count: operation.affectedCount,
    hints,
    ...(outcome === "interrupted" ? { interrupted: true } : {}),
  };
  return {
    sequence: state.head + 1,
    epoch: state.epoch,
    transactionId: createId(),
    deviceId: operation.deviceId,
    mutationId: null,
    timestampMs: clock.now(),
    domain: registry.find(operation.resourceType)?.domain ?? "metadata",
    modelType: BULK_MODEL_TYPE,
    recordId: operation.token,
    changeType: "bulk_insert",
    version: 1,
    operation: null,
    data,
  };
}

/** How many records the operation's last entry stands for; 0 when it has none, or none any more. */
async function toldCount(database: Database, { sequence }: BulkOperation): Promise<number> {
  const sql = "SELECT data->>'affected_count' FROM sync_log WHERE sequence = ?";
  const [rows = []] = await database.readPrimary([{ sql, args: [sequence] }]);
  return Number(rows[0]?.[0] ?? 0);
}

/**
 * Writes the operation's one entry and announces it; none where it changed nothing, as for a commit that
 * changes nothing (EVT-17), or nothing more before it was cut off again. Must run alone with the database.
 */
export async function finishBulk(
  options: FinishOptions,
  operation: BulkOperation,
  outcome: "complete" | "interrupted",
): Promise<void> {
  const { database, registry, state, clock } = options;
  const told = outcome === "interrupted" ? await toldCount(database, operation) : 0;
  const entries = operation.affectedCount === told ? [] : [toEntry(options, operation, outcome)];
  const [entry] = entries;
  const sequence = entry?.sequence ?? operation.sequence;
  const done: BulkOperation = { ...operation, state: outcome, sequence };
  await database.write([
    advanceHead(state, entries.length),
    ...(entry === undefined ? [] : [appendEntries(entries)]),
    saveOperation(done, clock.now()),
  ]);
  Object.assign(operation, done);
  if (entry === undefined) return;
  state.head += 1;
  const resource = registry.find(operation.resourceType);
  if (resource === undefined) return;
  const slot = absent(resource, operation.token);
  options.onCommitted([{ entry, slot }]);
}
