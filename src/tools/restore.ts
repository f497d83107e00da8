import { createId } from "../base/id.ts";
import { NOW_MS } from "../lease/lease.ts";
import type { Database } from "../store/database.ts";
import { CommandError } from "./errors.ts";

const STATE = `SELECT id, name, description, created_at, head, CASE WHEN leader_device_id IS NULL THEN 0
  ELSE lease_expires_at - ${NOW_MS} END FROM library`;

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
  const [id, name, description, createdAt, head, leaseMs] = row;
  const waitSeconds = Math.ceil(Number(leaseMs) / 1_000);
  if (waitSeconds > 0) {
    // A backup holds the lease of the node that led while it was made.
    throw new CommandError(
      `A node leads this library now, or did when the backup was made. Stop the service, then restore in ${waitSeconds} s.`,
    );
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
