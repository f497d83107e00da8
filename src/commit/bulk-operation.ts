import type { Problem } from "../protocol/errors.ts";
import type { Database, Statement } from "../store/database.ts";

export type BulkMode = "insert" | "upsert" | "delete";

interface BulkFailure {
  readonly index: number;
  readonly problem: Problem;
}

export interface BulkReceipt {
  readonly token: string;
  readonly resourceType: string;
  readonly state: "running" | "complete" | "interrupted";
  readonly affectedCount: number;
  readonly failedCount: number;
  readonly sequence: number | null;
  readonly failures: readonly BulkFailure[];
  readonly replayed: boolean;
}

/** The row of `bulk_operations`. */
export interface BulkOperation {
  readonly token: string;
  readonly resourceType: string;
  readonly mode: BulkMode;
  state: "running" | "complete" | "interrupted";
  readonly deviceId: string;
  readonly hints: string;
  firstRecordId: string | null;
  /** Of what is stored: a body that is sent again has the same one in its place. */
  lastRecordId: string | null;
  receivedCount: number;
  affectedCount: number;
  failedCount: number;
  sequence: number | null;
  failures: BulkFailure[];
}

const COLUMNS = `token, resource_type, mode, state, device_id, hints, first_record_id, received_count,
  affected_count, failed_count, sequence, answer, last_record_id`;

function toOperation(row: readonly unknown[]): BulkOperation {
  return {
    token: row[0] as string,
    resourceType: row[1] as string,
    mode: row[2] as BulkMode,
    state: row[3] as BulkOperation["state"],
    deviceId: row[4] as string,
    hints: row[5] as string,
    firstRecordId: row[6] as string | null,
    receivedCount: row[7] as number,
    affectedCount: row[8] as number,
    failedCount: row[9] as number,
    sequence: row[10] as number | null,
    failures: row[11] === null ? [] : (JSON.parse(row[11] as string) as BulkFailure[]),
    lastRecordId: row[12] as string | null,
  };
}

/** Writes how far it has come; stands in the transaction of the records. */
export function saveOperation(operation: BulkOperation, now: number): Statement {
  return {
    sql: `INSERT INTO bulk_operations (${COLUMNS}, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (token) DO UPDATE SET state = excluded.state, first_record_id = excluded.first_record_id,
      received_count = excluded.received_count, affected_count = excluded.affected_count,
      failed_count = excluded.failed_count, sequence = excluded.sequence, answer = excluded.answer,
      last_record_id = excluded.last_record_id, updated_at = excluded.updated_at`,
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
      operation.lastRecordId,
      now,
    ],
  };
}

/** What the caller is told of it. */
export const toReceipt = (operation: BulkOperation, replayed: boolean): BulkReceipt => ({
  token: operation.token,
  resourceType: operation.resourceType,
  state: operation.state,
  affectedCount: operation.affectedCount,
  failedCount: operation.failedCount,
  sequence: operation.sequence,
  failures: operation.failures,
  replayed,
});

/** The operation of that token. */
export async function findOperation(
  database: Database,
  token: string,
): Promise<BulkOperation | null> {
  const sql = `SELECT ${COLUMNS} FROM bulk_operations WHERE token = ?`;
  const [rows = []] = await database.read([{ sql, args: [token] }]);
  return rows[0] === undefined ? null : toOperation(rows[0]);
}

/** What runs, or ran when a node died. */
export async function listRunning(database: Database): Promise<BulkOperation[]> {
  const sql = `SELECT ${COLUMNS} FROM bulk_operations WHERE state = 'running'`;
  const [rows = []] = await database.read([{ sql, args: [] }]);
  return rows.map(toOperation);
}
