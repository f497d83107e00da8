import { SyncError } from "../protocol/errors.ts";

/** Turns what the database refused into what the caller can mend. */
export function toRefusal(error: unknown): SyncError {
  const message = error instanceof Error ? error.message : "";
  const [, constraint = "", columns = ""] =
    /(UNIQUE|NOT NULL) constraint failed: ([\w., ]+)/.exec(message) ?? [];
  const path = columns.split(",")[0]?.split(".").at(-1)?.trim() ?? "";
  const text =
    { UNIQUE: "Already in use by another record.", "NOT NULL": "The database needs a value here." }[
      constraint
    ] ?? "The database refuses this record.";
  return new SyncError("invalid_record", { issues: [{ path, message: text }] }, { cause: error });
}
