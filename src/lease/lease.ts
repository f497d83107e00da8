import type { Clock } from "../base/clock.ts";
import type { Read, Statement } from "../store/database.ts";

/**
 * What a node knows of a library. On the node that leads, the committer moves `head` and nobody else
 * does; on the others it follows the database.
 */
export interface LibraryState {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly historyId: string;
  readonly createdAt: number;
  readonly deviceId: string;
  /** True when this database follows a leader that has another: then its head is the follower's to move. */
  readonly isReplica: boolean;
  epoch: number;
  head: number;
  oldestSequence: number;
  leaderDeviceId: string | null;
  leaderUrl: string | null;
  /** When the lease ends, whoever holds it, by this node's monotonic clock. */
  leaseEndsAt: number;
  /** Until when this node may write, by its monotonic clock; 0 while it does not lead. */
  leadsUntil: number;
}

/** The part of a lease that a node does not use, so that clocks of other speeds cannot make two leaders. */
const MARGIN = 0.1;

export interface LeaseOptions {
  readonly deviceId: string;
  readonly nodeUrl: string | null;
  readonly leaseMs: number;
}

/** The database's clock decides, so that nodes whose clocks differ agree. */
export const NOW_MS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/**
 * Takes the lease when it is free, expired or our own, under the next epoch; else leaves it. The
 * database of a follower has no lease to take.
 */
export function acquireLease({ deviceId, nodeUrl, leaseMs }: LeaseOptions): Statement {
  return {
    sql: `UPDATE library SET epoch = epoch + 1, leader_device_id = ?1, leader_url = ?2,
      lease_expires_at = ${NOW_MS} + ?3
      WHERE (leader_device_id IS NULL OR leader_device_id = ?1 OR lease_expires_at < ${NOW_MS})
      AND NOT EXISTS (SELECT 1 FROM follower)
      RETURNING epoch`,
    args: [deviceId, nodeUrl, leaseMs],
  };
}

/** Leaves a replica without a leader, whoever it had; of a library that leads it takes nothing. */
export const unseat: Statement = {
  sql: `UPDATE library SET leader_device_id = NULL, leader_url = NULL, lease_expires_at = 0
    WHERE EXISTS (SELECT 1 FROM follower)`,
  args: [],
};

/** Prolongs a lease that is still ours and has not ended. Answers no row otherwise. */
export function renewLease({ deviceId, leaseMs }: LeaseOptions, epoch: number): Statement {
  return {
    sql: `UPDATE library SET lease_expires_at = ${NOW_MS} + ?1 WHERE leader_device_id = ?2 AND epoch = ?3
      AND lease_expires_at > ${NOW_MS} RETURNING lease_expires_at`,
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

/**
 * The fence of a replica: moves its head, or aborts the batch it stands in when somebody else has moved
 * it or has promoted it, or while a snapshot brings records that may be newer or older than the entries.
 */
export function followHead(head: number, next: number, epoch: number): Statement {
  return {
    sql: `INSERT INTO follow (head, next, epoch)
      SELECT iif((SELECT snapshot_types FROM follower) IS NULL, ?, -1), ?, ?`,
    args: [head, next, epoch],
  };
}

/** Reads who the library is and who leads it; that this node does is for `take` to say. */
export async function readState(
  read: Read,
  { deviceId, clock }: { readonly deviceId: string; readonly clock: Clock },
): Promise<LibraryState | null> {
  const [rows = []] = await read([
    {
      sql: `SELECT id, name, description, history_id, head, epoch, leader_device_id, leader_url,
        lease_expires_at - ${NOW_MS}, oldest_sequence, created_at, EXISTS (SELECT 1 FROM follower) FROM library`,
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
    leaseEndsAt: clock.monotonic() + (row[8] as number),
    leadsUntil: 0,
    oldestSequence: row[9] as number,
    createdAt: row[10] as number,
    isReplica: row[11] === 1,
    deviceId,
  };
}

/** Notes a lease that was asked for at `askedAt` and granted: the database counts from later on. */
export function extendLease(state: LibraryState, leaseMs: number, askedAt: number): void {
  state.leaseEndsAt = askedAt + leaseMs;
  state.leadsUntil = askedAt + leaseMs * (1 - MARGIN);
}

/** True while this node holds the lease as far as it knows; the fence decides in the end. */
export function isLeader(state: LibraryState): boolean {
  return state.leadsUntil > 0;
}

/** True until our own deadline, which comes before the lease can expire, even if no renewal answers. */
export function mayWrite(state: LibraryState, clock: Clock): boolean {
  return clock.monotonic() < state.leadsUntil;
}
