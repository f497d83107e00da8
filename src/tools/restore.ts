import { createId } from "../base/id.ts";
import type { Database } from "../store/database.ts";
import { CommandError } from "./errors.ts";

const STATE = `SELECT id, name, description, created_at, head,
  leader_device_id IS NOT NULL AND lease_expires_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)
  FROM library`;

/** What a restored library has become. */
export interface Restored {
  readonly id: string;
  readonly historyId: string;
  readonly head: number;
}

/**
 * Gives a library that came back from a backup a new history and the next epoch, and enters it into
 * the catalog. Devices that had gone further than the backup then start afresh, instead of taking
 * its next commits for those they already have.
 *
 * @throws CommandError while a node leads the library, or when this is none
 */
export async function restoreLibrary(library: Database, catalog: Database): Promise<Restored> {
  const [rows = []] = await library.read([{ sql: STATE, args: [] }]);
  const [row] = rows;
  if (row === undefined) throw new CommandError("That database holds no library.");
  const [id, name, description, createdAt, head, isLed] = row;
  if (isLed === 1) {
    throw new CommandError("A node leads this library now. Stop the service, then restore.");
  }
  const historyId = createId();
  await library.write([
    {
      sql: `UPDATE library SET history_id = ?, epoch = epoch + 1, leader_device_id = NULL,
        leader_url = NULL, lease_expires_at = 0`,
      args: [historyId],
    },
  ]);
  await catalog.write([
    {
      sql: `INSERT INTO libraries (id, name, description, state, created_at) VALUES (?, ?, ?, 'active', ?)
        ON CONFLICT (id) DO UPDATE SET state = 'active', summary = NULL`,
      args: [id ?? null, name ?? null, description ?? null, createdAt ?? null],
    },
  ]);
  return { id: id as string, historyId, head: head as number };
}
