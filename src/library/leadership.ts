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
import { SyncError } from "../protocol/errors.ts";
import type { Database, Read } from "../store/database.ts";
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
  /**
   * Reads head, epoch and leader from the database, or from its replica, which may be a little
   * behind, unless they are to be the newest; nothing to do on the node that leads.
   */
  refresh(isNewest?: boolean): Promise<void>;
  /** Finishes what waits, then gives the lease back. */
  release(): Promise<void>;
  /** Another epoch leads: stops writing. */
  lose(): void;
  /** Renews the lease, or gives up at our deadline. Called every third of the lease. */
  renew(): Promise<void>;
  /** True while the database has not answered for a while what this node writes about its lease. */
  isStuck(): boolean;
}

export interface Leader {
  readonly url: string | null;
  readonly epoch: number;
}

/** Takes the lease when nobody holds it. @throws not_leader, with who leads */
export async function assertLeading(library: { readonly leadership: Leadership }): Promise<void> {
  const leader = await library.leadership.lead();
  if (leader === null) return;
  const { url: leaderUrl, epoch } = leader;
  const detail = `${leaderUrl ?? "Another node"} leads the local library: only there it can be merged.`;
  throw new SyncError("not_leader", { leaderUrl, epoch }, { detail });
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

/** What this node sees of the library when it does not lead. */
interface Observer {
  adopt(fresh: LibraryState): void;
  refresh(isNewest?: boolean): Promise<void>;
}

function createObserver(options: LeadershipOptions): Observer {
  const { database, state, clock, committer, hub, relay, publisher } = options;
  let announcedEpoch = state.epoch;
  const refreshing = new Map<Read, Promise<void>>();

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
  const readFresh = async (read: Read): Promise<void> => {
    // What this node wrote as it lost the lease counts itself, once.
    await committer.drained();
    const fresh = await readState(read, { deviceId: state.deviceId, clock });
    // Meanwhile this node may have taken the lease, or another read may have been quicker.
    if (fresh === null || isLeader(state)) return;
    if (fresh.head < state.head || fresh.epoch < state.epoch) return;
    adopt(fresh);
    if (hub.size === 0 && !relay.isRunning && hub.head < state.head) hub.publish([], state.head);
  };
  return {
    adopt,
    refresh: (isNewest = false) => {
      if (isLeader(state) || state.isReplica) return Promise.resolve();
      const read = isNewest ? database.read : database.readNear;
      const running =
        refreshing.get(read) ?? readFresh(read).finally(() => refreshing.delete(read));
      refreshing.set(read, running);
      return running;
    },
  };
}

/** Whether the database answers writes: it may still read when it no longer does (readiness). */
interface Pulse {
  /** Runs a write about the lease, and notes when it is answered. */
  feel<Result>(write: () => Promise<Result>): Promise<Result>;
  isWeak(): boolean;
}

function createPulse({ clock, lease }: LeadershipOptions): Pulse {
  /** Since when a write waits, or has failed without a later one that was answered. */
  let since: number | null = null;
  return {
    feel: async (write) => {
      since ??= clock.monotonic();
      const result = await write();
      since = null;
      return result;
    },
    isWeak: () => since !== null && clock.monotonic() - since > lease.leaseMs / 3,
  };
}

/** The lease itself: taken, renewed, given back, lost. */
function createTenure(options: LeadershipOptions, observer: Observer) {
  const { database, state, lease, clock, telemetry, committer, publisher, relay } = options;
  const pulse = createPulse(options);
  let isRenewing = false;

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
    const [granted = []] = await pulse.feel(() => database.write([acquireLease(lease)]));
    if (granted.length === 0) return false;
    await committer.drained();
    await relay.pause();
    await publisher.settled();
    const fresh = await readState(database.read, { deviceId: state.deviceId, clock });
    if (fresh === null || fresh.epoch !== granted[0]?.[0]) {
      relay.resume();
      return false;
    }
    await relay.catchUp(fresh.head);
    observer.adopt(fresh);
    extendLease(state, lease.leaseMs, askedAt);
    telemetry.count("lease_changes", 1, { to: "taken" });
    const { id: library_id, epoch } = state;
    telemetry.log("debug", "This node leads the library.", { library_id, epoch });
    await options.bulk.closeInterrupted();
    return true;
  };
  const release = async (): Promise<void> => {
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
    telemetry.log("debug", "This node gave the lease back.", { library_id: state.id, epoch });
    relay.resume();
  };
  const renew = async (): Promise<void> => {
    if (!isLeader(state)) return;
    if (!mayWrite(state, clock)) lose();
    if (isRenewing || !isLeader(state)) return;
    isRenewing = true;
    const askedAt = clock.monotonic();
    try {
      const renewal = renewLease(lease, state.epoch);
      const [rows = []] = await pulse.feel(() => database.write([renewal]));
      if (rows.length === 0) lose();
      else if (isLeader(state)) extendLease(state, lease.leaseMs, askedAt);
    } finally {
      isRenewing = false;
    }
  };
  return { lose, take, release, renew, isStuck: () => pulse.isWeak() };
}

export function createLeadership(options: LeadershipOptions): Leadership {
  const { state, clock } = options;
  const observer = createObserver(options);
  const { take, ...tenure } = createTenure(options, observer);
  let settling: Promise<Leader | null> | null = null;

  const isHeldByOther = (): boolean =>
    state.leaderDeviceId !== state.deviceId && clock.monotonic() < state.leaseEndsAt;
  const leader = (): Leader => ({ url: state.leaderUrl, epoch: state.epoch });
  const settle = async (): Promise<Leader | null> => {
    await observer.refresh(true);
    if (isHeldByOther()) return leader();
    if (await take()) return null;
    await observer.refresh(true);
    return leader();
  };
  return {
    ...tenure,
    refresh: (isNewest) => {
      // A leader that slept past its lease does not know what was written meanwhile.
      if (isLeader(state) && !mayWrite(state, clock)) tenure.lose();
      return observer.refresh(isNewest);
    },
    // A lease that another node renews is written where this one's writes may still hang.
    isStuck: () => tenure.isStuck() && !isHeldByOther(),
    lead: (isFresh = false) => {
      if (mayWrite(state, clock)) return Promise.resolve(null);
      tenure.lose();
      if (state.isReplica || (!isFresh && isHeldByOther())) return Promise.resolve(leader());
      settling ??= settle().finally(() => (settling = null));
      return settling;
    },
  };
}
