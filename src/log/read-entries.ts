import { SyncError } from "../protocol/errors.ts";
import type { Read, Statement } from "../store/database.ts";
import { decodeEntries } from "./sync-log.ts";
import type { LogEntry } from "./sync-log.ts";

/** The end of the log that is trimmed, as far as this node knows, and the other end. */
export interface Extent {
  oldestSequence: number;
  readonly head: number;
}

/**
 * Reads what `select` says of the entries after a cursor. The log may have been trimmed since the
 * cursor was looked at, here or by another node: then entries would be missing without a sign (I6).
 *
 * @throws cursor_expired
 */
export async function readEntries(
  read: Read,
  select: Statement,
  { after, log }: { readonly after: number; readonly log: Extent },
): Promise<LogEntry[]> {
  const oldest = { sql: "SELECT oldest_sequence FROM library", args: [] };
  const [rows = [], [found] = []] = await read([select, oldest]);
  log.oldestSequence = Math.max(log.oldestSequence, Number(found?.[0] ?? 1));
  const { oldestSequence, head } = log;
  if (after < oldestSequence - 1) {
    const detail = `The log begins at ${oldestSequence}, and what followed ${after} is gone; take a snapshot and go on from its sequence.`;
    throw new SyncError("cursor_expired", { oldestSequence, head }, { detail });
  }
  return decodeEntries(rows);
}
