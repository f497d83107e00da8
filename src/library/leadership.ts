import type { Clock } from "../base/clock.ts";
import type { Bulk } from "../commit/bulk.ts";
import type { Committer } from "../commit/committer.ts";
import {
  acquireLease,
  extendLease,
  isLeader,
  mayWrite,
  readState,
  releaseLease,
  renewLease,
} from "../lease/lease.ts";
import type { LeaseOptions, LibraryState } from "../lease/lease.ts";
import type { Database } from "../store/database.ts";
import type { Hub } from "../stream/hub.ts";
import type { Publisher } from "../stream/publish.ts";
import type { Relay } from "../stream/relay.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/**
 * Who may write a library, as one node lives it (DESIGN section 8):
 *
 *   follows ──take: the lease was free, expired or ours──▶ leads ──renew at a third──▶ leads
 *      ▲                                                     │
 *      └── lost: fenced, not renewed in time, or released ───┘
 *
 * While it follows, the relay feeds the hub; while it leads, the committer does. `take` changes over
 * between them when the epoch is ours, because from then on nobody else can append: it stops the
 * relay, reads what the hub has not seen from the log, and only then lets the committer write (I6).
 *
 * @module
 */
export interface Leadership {
  /**
   * Resolves to null when this node may write, taking the lease if nobody holds it; else to who
   * leads. `isFresh` asks the database again, because the leader that was named did not answer.
   */
  lead(isFresh?: boolean): Promise<Leader | null>;
  /** Reads head, epoch and leader from the database; nothing to do on the node that leads. */
  refresh(): Promise<void>;
  /** Finishes what waits, then gives the lease back. */
  release(): Promise<void>;
  /** Another epoch leads: stops writing. */
  lose(): void;
  /** Renews the lease, or gives up at our deadline. Called every third of the lease. */
  renew(): Promise<void>;
}

export interface Leader {
  readonly url: string | null;
  readonly epoch: number;
}

export interface LeadershipOptions {
  readonly database: Database;
  readonly state: LibraryState;
  readonly lease: LeaseOptions;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly committer: Committer;
  readonly bulk: Bulk;
  readonly hub: Hub;
  readonly publisher: Publisher;
  readonly relay: Relay;
  /** Called when the head has moved by what others wrote. */
  readonly onMoved: () => void;
}

export function createLeadership(options: LeadershipOptions): Leadership {
  const { database, state, lease, clock, telemetry, committer, publisher, relay, hub } = options;
  const who = { deviceId: state.deviceId, clock };
  let announcedEpoch = state.epoch;
  let settling: Promise<Leader | null> | null = null;
  let refreshing: Promise<void> | null = null;
  let isRenewing = false;

  const announce = (): void => {
    if (state.epoch <= announcedEpoch) return;
    announcedEpoch = state.epoch;
    publisher.announce("LeaderChanged", {
      leader_device_id: state.leaderDeviceId,
      leader_url: state.leaderUrl,
      epoch: state.epoch,
    });
  };
  const adopt = (fresh: LibraryState): void => {
    const { epoch, head, oldestSequence, leaderDeviceId, leaderUrl, leaseEndsAt } = fresh;
    Object.assign(state, { epoch, head, oldestSequence, leaderDeviceId, leaderUrl, leaseEndsAt });
    announce();
    options.onMoved();
  };

  const readFresh = async (): Promise<void> => {
    const fresh = await readState(database, who);
    // Meanwhile this node may have taken the lease, or another read may have been quicker.
    if (fresh === null || isLeader(state) || fresh.head < state.head) return;
    adopt(fresh);
    if (hub.size === 0 && !relay.isRunning && hub.head < state.head) hub.publish([], state.head);
  };
  const refresh = (): Promise<void> => {
    if (isLeader(state) || state.isReplica) return Promise.resolve();
    refreshing ??= readFresh().finally(() => (refreshing = null));
    return refreshing;
  };

  const lose = (): void => {
    if (!isLeader(state)) return;
    state.leadsUntil = 0;
    telemetry.count("lease_changes", 1, { to: "lost" });
    telemetry.log("error", "This node no longer leads the library.", { library_id: state.id });
    // What is still being written is published first, so that the relay begins after it.
    void committer
      .drained()
      .then(() => publisher.settled())
      .then(() => (isLeader(state) ? undefined : relay.resume()));
  };

  const take = async (): Promise<boolean> => {
    const askedAt = clock.monotonic();
    const [granted = []] = await database.write([acquireLease(lease)]);
    if (granted.length === 0) return false;
    await committer.drained();
    await relay.pause();
    await publisher.settled();
    const fresh = await readState(database, who);
    if (fresh === null || fresh.epoch !== granted[0]?.[0]) {
      relay.resume();
      return false;
    }
    await relay.catchUp(fresh.head);
    adopt(fresh);
    extendLease(state, lease.leaseMs, askedAt);
    telemetry.count("lease_changes", 1, { to: "taken" });
    await options.bulk.closeInterrupted();
    return true;
  };

  const isHeldByOther = (): boolean =>
    state.leaderDeviceId !== state.deviceId && clock.monotonic() < state.leaseEndsAt;
  const leader = (): Leader => ({ url: state.leaderUrl, epoch: state.epoch });
  const settle = async (): Promise<Leader | null> => {
    await refresh();
    if (isHeldByOther()) return leader();
    if (await take()) return null;
    await refresh();
    return leader();
  };

  return {
    lead: (isFresh = false) => {
      if (mayWrite(state, clock)) return Promise.resolve(null);
      lose();
      if (state.isReplica || (!isFresh && isHeldByOther())) return Promise.resolve(leader());
      settling ??= settle().finally(() => (settling = null));
      return settling;
    },
    refresh,
    lose,
    release: async () => {
      if (!isLeader(state)) return;
      const { epoch } = state;
      await committer.exclusive(async () => {
        // From here on nothing is written; then others may.
        state.leadsUntil = 0;
        await publisher.settled();
        await database.write([releaseLease(state.deviceId, epoch)]);
        state.leaseEndsAt = clock.monotonic();
      });
      telemetry.count("lease_changes", 1, { to: "released" });
      relay.resume();
    },
    renew: async () => {
      if (!isLeader(state)) return;
      if (!mayWrite(state, clock)) lose();
      if (isRenewing || !isLeader(state)) return;
      isRenewing = true;
      const askedAt = clock.monotonic();
      try {
        const [rows = []] = await database.write([renewLease(lease, state.epoch)]);
        if (rows.length === 0) lose();
        else if (isLeader(state)) extendLease(state, lease.leaseMs, askedAt);
      } finally {
        isRenewing = false;
      }
    },
  };
}
