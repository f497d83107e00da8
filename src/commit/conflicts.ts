import { SyncError } from "../protocol/errors.ts";
import type { Database, Statement } from "../store/database.ts";
import type { ChangeRequest, Operation } from "./change.ts";

/** What a person decides of a late change. */
export interface Resolution {
  /** `local` keeps the record, `remote` takes the late change, `merged` takes `data`, `discard` drops the change. */
  readonly choice: "local" | "remote" | "merged" | "discard";
  readonly data?: Readonly<Record<string, unknown>> | undefined;
}

/** A late change of a `manual` resource that waits for a person. */
export interface OpenConflict {
  readonly id: string;
  readonly resourceType: string;
  readonly recordId: string;
  readonly deviceId: string;
  readonly expectedVersion: number;
  readonly currentVersion: number;
  readonly operation: Operation;
  readonly data: Readonly<Record<string, unknown>>;
  readonly base: Readonly<Record<string, unknown>> | null;
  readonly createdAt: number;
}

const SELECT = `SELECT id, resource_type, record_id, device_id, expected_version, current_version, operation,
  data, base, created_at FROM conflicts WHERE resolved_at IS NULL`;

function toConflict(row: readonly unknown[]): OpenConflict {
  const parse = (text: unknown) => JSON.parse(text as string) as Record<string, unknown>;
  return {
    id: row[0] as string,
    resourceType: row[1] as string,
    recordId: row[2] as string,
    deviceId: row[3] as string,
    expectedVersion: row[4] as number,
    currentVersion: row[5] as number,
    operation: row[6] as Operation,
    data: row[7] === null ? {} : parse(row[7]),
    base: row[8] === null ? null : parse(row[8]),
    createdAt: row[9] as number,
  };
}

/** The conflicts that wait, in the order of their ids, which is that of their making. */
export async function listConflicts(
  database: Database,
  after: string,
  limit: number,
): Promise<OpenConflict[]> {
  const sql = `${SELECT} AND id > ? ORDER BY id LIMIT ?`;
  const [rows = []] = await database.read([{ sql, args: [after, limit] }]);
  return rows.map(toConflict);
}

/** The conflict of that id while it waits. @throws not_found */
export async function findConflict(database: Database, id: string): Promise<OpenConflict> {
  const [rows = []] = await database.read([{ sql: `${SELECT} AND id = ?`, args: [id] }]);
  const [conflict] = rows.map(toConflict);
  if (conflict !== undefined) return conflict;
  const detail = `No conflict ${id} waits here: there is none, or it has been resolved.`;
  throw new SyncError("not_found", { what: `conflict ${id}` }, { detail });
}

/** Says what was decided; stands in the transaction that does it. */
export function closeConflict(id: string, choice: Resolution["choice"], now: number): Statement {
  const sql =
    "UPDATE conflicts SET resolved_at = ?, choice = ? WHERE id = ? AND resolved_at IS NULL";
  return { sql, args: [now, choice, id] };
}

/** The change that a decision asks for; null when the record stays as it is. @throws invalid_body */
export function toResolvingRequest(
  conflict: OpenConflict,
  { choice, data }: Resolution,
): ChangeRequest | null {
  const target = { resource_type: conflict.resourceType, id: conflict.recordId };
  if (choice === "remote") return { ...target, operation: conflict.operation, data: conflict.data };
  if (choice !== "merged") return null;
  if (data !== undefined) return { ...target, operation: "update", data };
  const message = 'The choice "merged" needs the fields to write.';
  throw new SyncError(
    "invalid_body",
    { issues: [{ path: "data", message }] },
    { detail: `data: ${message}` },
  );
}
