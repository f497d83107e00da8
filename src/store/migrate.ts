import { reasonOf } from "../base/reason.ts";
import type { Database } from "./database.ts";
import { splitStatements } from "./statements.ts";

const MIGRATIONS_TABLE =
  "CREATE TABLE IF NOT EXISTS migrations (tag TEXT PRIMARY KEY NOT NULL, applied_at INTEGER NOT NULL)";

/**
 * Applies what is missing, in the order of the tags. Each migration is one batch that begins by
 * inserting its unique tag, so that nodes that race apply it once. Resolves to what was applied here.
 */
export async function migrate(
  database: Database,
  migrations: Readonly<Record<string, string>>,
  now: number,
): Promise<readonly string[]> {
  await database.write([{ sql: MIGRATIONS_TABLE, args: [] }]);
  const applied = async () => {
    const [rows = []] = await database.read([{ sql: "SELECT tag FROM migrations", args: [] }]);
    return new Set(rows.map((row) => row[0]));
  };
  const own: string[] = [];
  let done = await applied();
  for (const tag of Object.keys(migrations).toSorted()) {
    if (done.has(tag)) continue;
    const parts = (migrations[tag] ?? "").split("--> statement-breakpoint");
    const statements = parts.flatMap(splitStatements);
    try {
      await database.write([
        { sql: "INSERT INTO migrations (tag, applied_at) VALUES (?, ?)", args: [tag, now] },
        ...statements.map((sql) => ({ sql, args: [] })),
      ]);
      own.push(tag);
    } catch (error) {
      done = await applied();
      if (done.has(tag)) continue;
      throw new Error(`Migration ${tag} failed: ${reasonOf(error)}`, { cause: error });
    }
  }
  return own;
}
