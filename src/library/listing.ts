import { SyncError } from "../protocol/errors.ts";
import type { Database } from "../store/database.ts";
import type { LibrarySummary } from "./summary.ts";

/** What the catalog keeps of a library, open or not. */
export interface LibraryListing {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly createdAt: number;
}

/** A listing with the library's state as it was last told; null before that. */
export interface ListedLibrary extends LibraryListing {
  readonly summary: LibrarySummary | null;
}

const SELECT = "SELECT id, name, description, created_at, summary FROM libraries";

function toListing(row: readonly unknown[]): ListedLibrary {
  return {
    id: row[0] as string,
    name: row[1] as string,
    description: row[2] as string | null,
    createdAt: row[3] as number,
    summary: row[4] === null ? null : (JSON.parse(row[4] as string) as LibrarySummary),
  };
}

/** Enters a library into the catalog. @throws already_exists */
export async function addListing(database: Database, listing: LibraryListing): Promise<void> {
  const { id, name, description, createdAt } = listing;
  try {
    await database.write([
      {
        sql: "INSERT INTO libraries (id, name, description, state, created_at) VALUES (?, ?, ?, 'active', ?)",
        args: [id, name, description, createdAt],
      },
    ]);
  } catch (error) {
    const sql = "SELECT state FROM libraries WHERE id = ?";
    const [[row] = []] = await database.read([{ sql, args: [id] }]);
    if (row === undefined) throw error;
    const detail =
      row[0] === "deleted"
        ? `The library ${id} was deleted, and an id stands for one library for ever; choose another.`
        : `The library ${id} exists.`;
    throw new SyncError("already_exists", { current: null }, { detail });
  }
}

/** Takes back the listing of a library that never came to be. */
export async function dropListing(database: Database, id: string): Promise<void> {
  await database.write([{ sql: "DELETE FROM libraries WHERE id = ?", args: [id] }]);
}

/** Reads one library's listing. @throws not_found */
export async function findListing(database: Database, id: string): Promise<LibraryListing> {
  const sql = `${SELECT} WHERE id = ? AND state = 'active'`;
  const [rows = []] = await database.read([{ sql, args: [id] }]);
  const [listing] = rows.map(toListing);
  if (listing !== undefined) return listing;
  const detail = `There is no library ${id}.`;
  throw new SyncError("not_found", { what: `library ${id}` }, { detail });
}

/** Reads a page of the listings, by id. */
export async function readListings(
  database: Database,
  after: string,
  limit: number,
): Promise<ListedLibrary[]> {
  const sql = `${SELECT} WHERE state = 'active' AND id > ? ORDER BY id LIMIT ?`;
  const [rows = []] = await database.read([{ sql, args: [after, limit] }]);
  return rows.map(toListing);
}

/** The library that another went into; null when it went into none. */
export async function findMerged(database: Database, id: string): Promise<string | null> {
  const sql = "SELECT merged_into FROM libraries WHERE state = 'merged' AND id = ?";
  const [[row] = []] = await database.read([{ sql, args: [id] }]);
  return (row?.[0] as string | undefined) ?? null;
}

/** Reads which libraries were merged, each with the one it went into. */
export async function readMerged(database: Database): Promise<Map<string, string>> {
  const sql = "SELECT id, merged_into FROM libraries WHERE state = 'merged'";
  const [rows = []] = await database.read([{ sql, args: [] }]);
  return new Map(rows.map(([id, into]) => [id as string, into as string]));
}
