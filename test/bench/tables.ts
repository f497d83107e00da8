/**
 * The tables and statements that the naive server and the raw bounds share: what a commit costs
 * the database when nothing else is asked of it.
 *
 * @module
 */
import { createClient, type Client, type InStatement } from "@libsql/client";

const ddl = [
  `CREATE TABLE album (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT,
     version INTEGER NOT NULL DEFAULT 1, updated_at INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE file (id TEXT PRIMARY KEY, location_id TEXT NOT NULL, parent_id TEXT,
     name TEXT NOT NULL, extension TEXT, size INTEGER NOT NULL, mime TEXT, modified_at TEXT,
     content_id TEXT, version INTEGER NOT NULL DEFAULT 1, updated_at INTEGER NOT NULL)`,
  `CREATE INDEX file_directory ON file (location_id, parent_id, name)`,
  `CREATE INDEX file_parent ON file (parent_id)`,
  `CREATE TABLE log (sequence INTEGER PRIMARY KEY AUTOINCREMENT, resource_type TEXT NOT NULL,
     record_id TEXT NOT NULL, change_type TEXT NOT NULL, data TEXT, created_at INTEGER NOT NULL)`,
];

/** Opens a fresh durable database. One connection: a pragma reaches only the one it runs on. */
export async function openDatabase(path: string): Promise<Client> {
  const client = createClient({ url: `file:${path}`, concurrency: 1 });
  await client.execute("PRAGMA journal_mode = WAL");
  await client.execute("PRAGMA synchronous = FULL");
  await client.execute("PRAGMA busy_timeout = 5000");
  await client.batch(ddl, "write");
  return client;
}

export interface Album {
  readonly id: string;
  readonly name: string;
  readonly description: string;
}

/** The two statements of one commit: the row, and its entry in the log. */
export function toStatements(album: Album): [InStatement, InStatement] {
  const now = Date.now();
  return [
    {
      sql: `INSERT INTO album (id, name, description, updated_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name,
              description = excluded.description, version = version + 1,
              updated_at = excluded.updated_at`,
      args: [album.id, album.name, album.description, now],
    },
    {
      sql: `INSERT INTO log (resource_type, record_id, change_type, data, created_at)
            VALUES ('album', ?, 'upsert', ?, ?) RETURNING sequence`,
      args: [album.id, JSON.stringify(album), now],
    },
  ];
}
