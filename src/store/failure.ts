import { SyncError } from "../protocol/errors.ts";

/** The code of a database error, or of what caused it. */
export function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

/** True when the database refused the write for what it says, so that trying again is useless. */
export function isRefused(error: unknown): boolean {
  return codeOf(error).startsWith("SQLITE_CONSTRAINT") || guardOf(error) !== null;
}

/** The tag of the guard that aborted a batch (FACTS, "fences and checks in SQL alone"). */
export function guardOf(error: unknown): string | null {
  return error instanceof Error ? (/GUARD:([\w-]+)/.exec(error.message)?.[1] ?? null) : null;
}

/** True when the server did not answer, so that nobody knows what became of a write. */
export function isLost(error: unknown): boolean {
  return (
    !(error instanceof SyncError) && guardOf(error) === null && !codeOf(error).startsWith("SQL")
  );
}

/** True when a request never left, so that it may be sent again, whatever it was. */
export function isUnsent(error: unknown): boolean {
  const text = error instanceof Error ? `${codeOf(error)} ${error.message}` : "";
  return /ECONNREFUSED|ConnectionRefused|failed to connect|unable to connect/i.test(text);
}

const DAMAGED = "The file of the library's database is damaged; restore it from a backup.";
/** What a person must mend before anything can be written (https://sqlite.org/rescode.html). */
const troubles: readonly (readonly [code: string, detail: string])[] = [
  ["SQLITE_FULL", "The disk of the library's database is full; make room, then try again."],
  ["SQLITE_IOERR", "The disk of the library's database does not read or write."],
  ["SQLITE_CANTOPEN", "The file of the library's database cannot be opened."],
  ["SQLITE_CORRUPT", DAMAGED],
  ["SQLITE_NOTADB", DAMAGED],
];

export function troubleOf(error: unknown): string | null {
  const code = codeOf(error);
  return troubles.find(([known]) => code.startsWith(known))?.[1] ?? null;
}

export function unavailable(
  cause: unknown,
  detail = "The library's database did not answer in time; try again.",
): SyncError {
  return new SyncError("database_unavailable", { retryAfterSeconds: 1 }, { cause, detail });
}
