import { reasonOf } from "../base/reason.ts";
import { isSyncError } from "../protocol/errors.ts";
import type { Database, Statement } from "./database.ts";
import { splitStatements } from "./statements.ts";

const MIGRATIONS_TABLE =
  "CREATE TABLE IF NOT EXISTS migrations (tag TEXT PRIMARY KEY NOT NULL, applied_at INTEGER NOT NULL)";

export interface Schema {
  /** SQL by tag; the tags in their order are the order of the migrations. */
  readonly migrations: Readonly<Record<string, string>>;
  /** What must run once all of them have: the last one fails with what fails of these, or the opening. */
  readonly checks: readonly Statement[];
}

/**
 * Applies what is missing, in the order of the tags. Each migration is one batch that begins by
 * inserting its unique tag, so that nodes that race apply it once. Resolves to what was applied here.
 */
export async function migrate(
  database: Database,
  { migrations, checks }: Schema,
  now: number,
): Promise<readonly string[]> {
  await database.write([{ sql: MIGRATIONS_TABLE, args: [] }]);
  const applied = async () => {
    const [rows = []] = await database.read([{ sql: "SELECT tag FROM migrations", args: [] }]);
    return new Set(rows.map((row) => row[0]));
  };
  const own: string[] = [];
  let done = await applied();
  const missing = Object.keys(migrations)
    .filter((tag) => !done.has(tag))
    .toSorted();
  if (missing.length === 0) await check(database, checks);
  for (const tag of missing) {
    if (done.has(tag)) continue;
    const parts = (migrations[tag] ?? "").split("--> statement-breakpoint");
    const statements = parts.flatMap(splitStatements);
    try {
      await database.write([
        { sql: "INSERT INTO migrations (tag, applied_at) VALUES (?, ?)", args: [tag, now] },
        ...statements.map((sql) => ({ sql, args: [] })),
        ...(tag === missing.at(-1) ? checks : []),
      ]);
      own.push(tag);
    } catch (error) {
      done = await applied();
      if (done.has(tag)) continue;
      const demand =
        tag === missing.at(-1)
          ? "; after it every table and column that a plugin declares must be there"
          : "";
      throw new Error(`Migration ${tag} failed: ${reasonOf(error)}${demand}`, { cause: error });
    }
  }
  return own;
}

/** A tag that has run never runs again, whatever was added to its SQL since. */
async function check(database: Database, checks: readonly Statement[]): Promise<void> {
  await database.read(checks).catch((cause: unknown) => {
    if (isSyncError(cause)) throw cause;
    const advice = "bring the SQL that makes it under a new tag of the plugin's `migrations`";
    throw new Error(`A plugin declares what the database has not: ${reasonOf(cause)}; ${advice}.`, {
      cause,
    });
  });
}
