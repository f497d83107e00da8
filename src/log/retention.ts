import type { Database } from "../store/database.ts";

/** A device not heard of for this long no longer holds the log back; it comes back by a snapshot. */
export const ACTIVE_MS = 30 * 24 * 60 * 60 * 1_000;
/** Entries removed in one transaction, so that a trim never holds up commits for long. */
const CHUNK = 5_000;

/** What may go, and how each transaction that removes some is run. */
export interface Trim {
  readonly beforeMs: number;
  readonly activeSinceMs: number;
  /** Runs one alone with the database, so that commits come between. */
  readonly alone?: <Result>(run: () => Promise<Result>) => Promise<Result>;
}

async function trimChunk(
  database: Database,
  state: { oldestSequence: number },
  { beforeMs, activeSinceMs }: Trim,
): Promise<number> {
  const [limits = [], acknowledged = []] = await database.read([
    {
      // No further than one transaction goes, so that a log of which nothing is old is not read through.
      sql: `SELECT max(sequence) FROM sync_log
        WHERE sequence < (SELECT min(sequence) FROM sync_log) + ? AND timestamp_ms < ?`,
      args: [CHUNK, beforeMs],
    },
    {
      sql: "SELECT min(sequence) FROM sync_positions WHERE updated_at >= ?",
      args: [activeSinceMs],
    },
  ]);
  const old = (limits[0]?.[0] as number | null | undefined) ?? 0;
  const held = (acknowledged[0]?.[0] as number | null | undefined) ?? old;
  const last = Math.min(old, held, state.oldestSequence + CHUNK - 1);
  const count = last - state.oldestSequence + 1;
  if (count <= 0) return 0;
  await database.write([
    // A node that led before may know less than the database.
    { sql: "UPDATE library SET oldest_sequence = max(oldest_sequence, ?)", args: [last + 1] },
    {
      sql: `DELETE FROM mutations WHERE created_at < ? AND last_sequence <= ?
        AND mutation_id IN (SELECT mutation_id FROM sync_log WHERE sequence <= ?)`,
      args: [beforeMs, last, last],
    },
    { sql: "DELETE FROM sync_log WHERE sequence <= ?", args: [last] },
  ]);
  state.oldestSequence = last + 1;
  return count;
}

/**
 * Forgets mutations that left no entry, such as refused ones, and what else is old. They stand in the
 * order in which they came, and only the first are looked at: the table may be as long as the log.
 */
async function forgetChunk(database: Database, { beforeMs }: Trim): Promise<number> {
  const [, counted = []] = await database.write([
    {
      sql: `DELETE FROM mutations WHERE rowid IN (SELECT rowid FROM mutations ORDER BY rowid LIMIT ?)
        AND created_at < ? AND coalesce(last_sequence, 0) < (SELECT oldest_sequence FROM library)`,
      args: [CHUNK, beforeMs],
    },
    { sql: "SELECT changes()", args: [] },
  ]);
  return Number(counted[0]?.[0] ?? 0);
}

/**
 * Removes entries older than `beforeMs` that every device heard of since `activeSinceMs` has
 * acknowledged (LOG-11), and moves `oldestSequence` along, a chunk at a time. Resolves to how many.
 */
export async function trimLog(
  database: Database,
  state: { oldestSequence: number },
  trim: Trim,
): Promise<number> {
  const { alone = (run) => run() } = trim;
  let total = 0;
  for (let count = CHUNK; count >= CHUNK;) {
    count = await database.turn(() => alone(() => trimChunk(database, state, trim)));
    total += count;
  }
  while ((await database.turn(() => alone(() => forgetChunk(database, trim)))) > 0);
  return total;
}
