import { SyncError } from "../protocol/errors.ts";
import type { Database } from "../store/database.ts";

/** A device as a library knows it. `sequence` is its acknowledged position, null before the first. */
export interface Device {
  readonly id: string;
  readonly name: string;
  readonly publicKey: string | null;
  readonly createdAt: number;
  readonly seenAt: number;
  readonly revokedAt: number | null;
  readonly sequence: number | null;
}

export interface Position {
  readonly deviceId: string;
  readonly sequence: number;
  readonly epoch: number;
}

const SELECT = `SELECT id, name, public_key, created_at, seen_at, revoked_at, sequence FROM devices
  LEFT JOIN sync_positions ON device_id = id`;

function toDevice(row: readonly unknown[]): Device {
  return {
    id: row[0] as string,
    name: row[1] as string,
    publicKey: row[2] as string | null,
    createdAt: row[3] as number,
    seenAt: row[4] as number,
    revokedAt: row[5] as number | null,
    sequence: row[6] as number | null,
  };
}

export async function listDevices(database: Database): Promise<Device[]> {
  const [rows = []] = await database.read([{ sql: `${SELECT} ORDER BY id`, args: [] }]);
  return rows.map(toDevice);
}

/** @throws not_found */
export async function readDevice(database: Database, id: string): Promise<Device> {
  const [rows = []] = await database.read([{ sql: `${SELECT} WHERE id = ?`, args: [id] }]);
  const [row] = rows;
  if (row !== undefined) return toDevice(row);
  const detail = `There is no device ${id} here.`;
  throw new SyncError("not_found", { what: `device ${id}` }, { detail });
}

/** Who is in goes on; who comes takes a place that is left. */
const REGISTER = `INSERT INTO devices (id, name, public_key, created_at, seen_at)
  SELECT ?1, ?2, ?3, ?4, ?4
  WHERE EXISTS (SELECT 1 FROM devices WHERE id = ?1 AND revoked_at IS NULL)
    OR (SELECT count(*) FROM devices WHERE revoked_at IS NULL) < ?5
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at, revoked_at = NULL,
    public_key = coalesce(excluded.public_key, public_key) RETURNING id`;

/**
 * Registers a device, or renames it; one that was revoked is let in again (SETUP-12).
 *
 * @throws forbidden when there are as many as may be
 */
export async function registerDevice(
  database: Database,
  device: { readonly id: string; readonly name: string; readonly publicKey?: string | null },
  { now, devicesMax }: { readonly now: number; readonly devicesMax: number },
): Promise<Device> {
  const args = [device.id, device.name, device.publicKey ?? null, now, devicesMax];
  const [registered = []] = await database.write([{ sql: REGISTER, args }]);
  if (registered.length > 0) return readDevice(database, device.id);
  const detail = `${devicesMax} devices are registered, and no more may be; revoke one that is no longer used.`;
  throw new SyncError("forbidden", { reason: "device_limit" }, { detail });
}

/** Marks a device as out; its position no longer holds the log back. @throws not_found */
export async function revokeDevice(database: Database, id: string, now: number): Promise<void> {
  await readDevice(database, id);
  await database.write([
    { sql: "UPDATE devices SET revoked_at = ? WHERE id = ?", args: [now, id] },
    { sql: "DELETE FROM sync_positions WHERE device_id = ?", args: [id] },
  ]);
}

/** Notes how far a device is, and that it lives. @throws forbidden for a revoked device */
export async function acknowledge(
  database: Database,
  { deviceId, sequence, epoch }: Position,
  now: number,
): Promise<void> {
  const [rows = []] = await database.read([
    { sql: "SELECT revoked_at FROM devices WHERE id = ?", args: [deviceId] },
  ]);
  const revokedAt = rows[0]?.[0] ?? null;
  if (revokedAt !== null) {
    const detail = `The device ${deviceId} was revoked.`;
    throw new SyncError("forbidden", { reason: "device_revoked" }, { detail });
  }
  await database.write([
    {
      sql: `INSERT INTO sync_positions (device_id, sequence, epoch, updated_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (device_id) DO UPDATE SET sequence = excluded.sequence, epoch = excluded.epoch,
        updated_at = excluded.updated_at`,
      args: [deviceId, sequence, epoch, now],
    },
    { sql: "UPDATE devices SET seen_at = ? WHERE id = ?", args: [now, deviceId] },
  ]);
}

export async function listPositions(
  database: Database,
): Promise<(Position & { readonly updatedAt: number })[]> {
  const sql =
    "SELECT device_id, sequence, epoch, updated_at FROM sync_positions ORDER BY device_id";
  const [rows = []] = await database.read([{ sql, args: [] }]);
  return rows.map((row) => ({
    deviceId: row[0] as string,
    sequence: row[1] as number,
    epoch: row[2] as number,
    updatedAt: row[3] as number,
  }));
}
