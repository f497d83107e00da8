import type { Database, Statement } from "../store/database.ts";

/** What a node knows of the library it leads. The committer moves `head`; nobody else does. */
export interface LibraryState {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly historyId: string;
  readonly createdAt: number;
  readonly deviceId: string;
  epoch: number;
  head: number;
  oldestSequence: number;
  leaderDeviceId: string | null;
  leaderUrl: string | null;
  leaseExpiresAt: number;
}

export interface LeaseOptions {
  readonly deviceId: string;
  readonly nodeUrl: string | null;
  readonly leaseMs: number;
}

// The database's clock decides, so that nodes whose clocks differ agree.
const NOW_MS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/**
 * Takes the lease when it is free, expired or our own, under the next epoch; else leaves it. The
 * database of a follower has no lease to take.
 */
export function acquireLease({ deviceId, nodeUrl, leaseMs }: LeaseOptions): Statement {
  return {
    sql: `UPDATE library SET epoch = epoch + 1, leader_device_id = ?1, leader_url = ?2,
      lease_expires_at = ${NOW_MS} + ?3
      WHERE (leader_device_id IS NULL OR leader_device_id = ?1 OR lease_expires_at < ${NOW_MS})
      AND NOT EXISTS (SELECT 1 FROM follower)`,
    args: [deviceId, nodeUrl, leaseMs],
  };
}

/** Prolongs a lease that is still ours. Answers no row when it is not. */
export function renewLease({ deviceId, leaseMs }: LeaseOptions, epoch: number): Statement {
  return {
    sql: `UPDATE library SET lease_expires_at = ${NOW_MS} + ?1 WHERE leader_device_id = ?2 AND epoch = ?3
      RETURNING lease_expires_at`,
    args: [leaseMs, deviceId, epoch],
  };
}

/** Gives the lease back, so that the next node need not wait for it to expire. */
export function releaseLease(deviceId: string, epoch: number): Statement {
  return {
    sql: "UPDATE library SET lease_expires_at = 0 WHERE leader_device_id = ? AND epoch = ?",
    args: [deviceId, epoch],
  };
}

/** The fence (I3): moves the head under our epoch, or aborts the batch it stands in. */
export function advanceHead(state: LibraryState, count: number): Statement {
  return {
    sql: "INSERT INTO advance (count, epoch, leader_device_id, head) VALUES (?, ?, ?, ?)",
    args: [count, state.epoch, state.deviceId, state.head],
  };
}

/** Reads who the library is and who leads it. */
export async function readState(
  database: Database,
  deviceId: string,
): Promise<LibraryState | null> {
  const [rows = []] = await database.read([
    {
      sql: `SELECT id, name, description, history_id, head, epoch, leader_device_id, leader_url,
        lease_expires_at, oldest_sequence, created_at FROM library`,
      args: [],
    },
  ]);
  const [row] = rows;
  if (row === undefined) return null;
  return {
    id: row[0] as string,
    name: row[1] as string,
    description: row[2] as string | null,
    historyId: row[3] as string,
    head: row[4] as number,
    epoch: row[5] as number,
    leaderDeviceId: row[6] as string | null,
    leaderUrl: row[7] as string | null,
    leaseExpiresAt: row[8] as number,
    oldestSequence: row[9] as number,
    createdAt: row[10] as number,
    deviceId,
  };
}

/** True while this node may write, as far as it knows; the fence decides in the end. */
export function isLeader(state: LibraryState): boolean {
  return state.leaderDeviceId === state.deviceId;
}
