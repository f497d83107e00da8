import { SyncError, withIndex } from "../protocol/errors.ts";
import type { Database } from "../store/database.ts";
import type { Change, Submission } from "./change.ts";

/** What a table asks of some of its columns, as SQLite names it. */
interface Constraint {
  readonly kind: "UNIQUE" | "NOT NULL";
  readonly table: string;
  readonly columns: readonly string[];
}

const messages = {
  UNIQUE: "Already in use by another record.",
  "NOT NULL": "The database needs a value here.",
} as const;

function constraintOf(error: unknown): Constraint | null {
  const message = error instanceof Error ? error.message : "";
  const [, kind, named = ""] =
    /(UNIQUE|NOT NULL) constraint failed: ([\w., ]+)/.exec(message) ?? [];
  if (kind === undefined) return null;
  const parts = named.split(",").map((one) => one.trim().split("."));
  const columns = parts.map((part) => part.at(-1) ?? "");
  return { kind: kind as Constraint["kind"], table: parts[0]?.[0] ?? "", columns };
}

/** Which change of a batch brings what another record has, or brings it once more; null if unclear. */
async function findTwin(
  changes: readonly Change[],
  { table, columns }: Constraint,
  database: Database,
): Promise<number | null> {
  const [first = ""] = columns;
  const values = changes.map(({ fields }) => fields[first] ?? null);
  const names = columns.map((name) => `"${name}"`).join(", ");
  const sql = `SELECT id, ${names} FROM "${table}" WHERE "${first}" IN (SELECT value FROM json_each(?))`;
  const [rows = []] = await database.readPrimary([{ sql, args: [JSON.stringify(values)] }]);
  const owners = new Map(rows.map(([id, ...row]) => [JSON.stringify(row), id]));
  for (const [index, { resource, operation, id, fields }] of changes.entries()) {
    if (resource.tableName !== table || operation === "delete") continue;
    const key = JSON.stringify(columns.map((name) => fields[name]));
    if ((owners.get(key) ?? id) !== id) return index;
    owners.set(key, id);
  }
  return null;
}

/** Turns what the database refused of a submission into what the caller can mend. */
export async function toRefusal(
  cause: unknown,
  { changes, keepsRefusal }: Submission,
  database: Database,
): Promise<SyncError> {
  const constraint = constraintOf(cause);
  const message =
    constraint === null ? "The database refuses this record." : messages[constraint.kind];
  const issues = [{ path: constraint?.columns[0] ?? "", message }];
  const refusal = new SyncError("invalid_record", { issues }, { cause });
  // A batch that may be divided finds out by itself who is refused.
  if (constraint?.kind !== "UNIQUE" || changes.length < 2 || !keepsRefusal) return refusal;
  const index = await findTwin(changes, constraint, database).catch(() => null);
  return index === null ? refusal : withIndex(refusal, index);
}
