import { SyncError } from "../protocol/errors.ts";

/** Turns what the database refused into what the caller can mend. */
export function toRefusal(error: unknown): SyncError {
  const message = error instanceof Error ? error.message : "";
  const columns = /UNIQUE constraint failed: ([\w., ]+)/.exec(message)?.[1];
  const path = columns?.split(",")[0]?.split(".").at(-1)?.trim() ?? "";
  const text =
    columns === undefined
      ? "The database refuses this record."
      : "Already in use by another record.";
  return new SyncError("invalid_record", { issues: [{ path, message: text }] }, { cause: error });
}
