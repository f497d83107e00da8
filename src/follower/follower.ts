/**
 * The loop around the table of `state.ts`: does what a state stands for, reports one event, moves.
 * Everything it must remember lies in the replica's database, so that it may be killed anywhere.
 */
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import { guardOf, isRefused } from "../store/database.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createBell } from "./bell.ts";
import { takeSnapshot } from "./backfill.ts";
import type { BackfillContext, Replica } from "./backfill.ts";
import { listenForHints } from "./hints.ts";
import { createOutbox } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import { readProgress } from "./progress.ts";
import { isHalted, isOver, transitions } from "./state.ts";
import type { FollowerEvent, State } from "./state.ts";
import { pullPage } from "./tail.ts";
import { createUpstream } from "./upstream.ts";
import type { Fetch, Upstream } from "./upstream.ts";
import { compareChecksums } from "./verify.ts";

/** How often a follower asks, compares and tells that it lives. */
export interface FollowerTimes {
  /** Asks the leader even without a hint. */
  readonly pollMs: number;
  readonly heartbeatMs: number;
  readonly verifyMs: number;
  /** Tries again what was blocked or refused: the device may have been upgraded or let in. */
  readonly haltedMs: number;
}

export const defaultTimes: FollowerTimes = {
  pollMs: 5_000,
  heartbeatMs: 30_000,
  verifyMs: 60_000,
  haltedMs: 60_000,
};

export interface FollowerOptions {
  readonly libraryId: string;
  readonly leaderUrl: string;
  readonly token: string;
  readonly device: { readonly id: string; readonly name: string };
  /** The replica, opened again when it was closed meanwhile. */
  readonly open: () => Promise<Replica>;
  /** Ends its streams with a goodbye and closes it; the next `open` reads everything anew. */
  readonly close: () => Promise<void>;
  readonly fetch: Fetch;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly times?: Partial<FollowerTimes>;
  /** From 0 to 1, for the jitter of waits; `Math.random` when left out. */
  readonly random?: (() => number) | undefined;
}

/** What a person or a monitor wants to know of a follower. */
export interface FollowerStatus {
  readonly state: State;
  /** Why it waits, is blocked, refused or before another history; null while all is well. */
  readonly reason: string | null;
  readonly leaderUrl: string;
  readonly head: number;
  readonly leaderHead: number | null;
  readonly repairs: number;
}

export interface Follower {
  readonly status: FollowerStatus;
  readonly upstream: Upstream;
  readonly outbox: Outbox;
  /** Works until nothing is left to do or something is in the way. */
  settle(): Promise<State>;
  /** Follows until it is stopped. */
  run(): Promise<void>;
  /** Something may have happened: do not wait for the poll. */
  wake(): void;
  /** Goes on from a halt. `acceptHistory` replaces the replica by the leader's other history. */
  resume(options?: { readonly acceptHistory?: boolean }): void;
  /** Ends the loop, after the step that runs. */
  stop(reason?: "stop" | "promote"): Promise<void>;
}

/** What an error means for the follower. Unknown ones may pass: they wait. */
export function toEvent(error: unknown): FollowerEvent {
  if (isSyncError(error)) {
    if (error.code === "cursor_expired") return "needsSnapshot";
    if (error.code === "history_changed") return "otherHistory";
    if (error.code === "unknown_resource_type" || error.code === "invalid_record") return "poison";
    const isRefusal = ["unauthorized", "forbidden", "not_found", "protocol_too_old"];
    return isRefusal.includes(error.code) ? "refusal" : "failed";
  }
  return isRefused(error) && guardOf(error) === null ? "poison" : "failed";
}

export function createFollower(options: FollowerOptions): Follower {
  const { libraryId, leaderUrl, clock, limits, telemetry, registry, device } = options;
  const random = options.random ?? Math.random;
  const times = { ...defaultTimes, ...options.times };
  const upstream = createUpstream({ ...options, url: leaderUrl });
  const database = async () => (await options.open()).database;
  const outbox = createOutbox({ database, upstream, clock });
  const bell = createBell(clock);
  const fetched = new Map<string, number>();
  const labels = { library: libraryId };

  let state: State = "connecting";
  let reason: string | null = null;
  let last: Replica | null = null;
  let leaderHead: number | null = null;
  let repairs = 0;
  let attempts = 0;
  let toRepair: readonly string[] = [];
  let suspects: ReadonlyMap<string, number> = new Map();
  let verifyAt = 0;
  let heartbeatAt = 0;
  let acknowledged = -1;
  let requested: FollowerEvent | null = null;
  let running: Promise<void> | null = null;

  const move = (event: FollowerEvent, why: string | null = null): void => {
    const next = transitions[state][event];
    if (next !== state) {
      const level = isHalted(next) ? "error" : "info";
      telemetry.log(level, `The follower is ${next}.`, { ...labels, from: state, event, why });
    }
    if (next !== state || why !== null) reason = why;
    state = next;
    telemetry.gauge("follower_halted", isHalted(state) ? 1 : 0, labels);
  };

  const contextOf = async (): Promise<BackfillContext> => {
    const replica = await options.open();
    last = replica;
    return { replica, upstream, registry, telemetry, reopen: options.close };
  };

  const connect = async (): Promise<FollowerEvent> => {
    const { replica } = await contextOf();
    const progress = await readProgress(replica.database);
    if (progress === null) return "promote";
    const leader = await upstream.describe();
    leaderHead = leader.head;
    await upstream.register(device).catch(() => {});
    const isPartial = progress.snapshot?.isFull === false;
    if (!progress.isBackfilled && !isPartial) return "needsSnapshot";
    const isOther = leader.historyId !== replica.state.historyId;
    const hasLess = leader.head < replica.state.head;
    if (isOther || (hasLess && leader.epoch !== replica.state.epoch)) {
      const detail = isOther
        ? "The leader has another history: it was restored, wiped or replaced."
        : `The leader ends at ${leader.head}, this device has ${replica.state.head}: it lost entries.`;
      const facts = { historyId: leader.historyId, head: leader.head };
      throw new SyncError("history_changed", facts, { detail });
    }
    if (hasLess) {
      const detail = `The leader answers from ${leader.head}, before this device's ${replica.state.head}.`;
      throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
    }
    if (progress.snapshot === null) return "behind";
    toRepair = progress.snapshot.types.map((type) => type.replace("*", ""));
    return "mismatch";
  };

  const acknowledge = async (replica: Replica): Promise<void> => {
    const now = clock.monotonic();
    if (acknowledged === replica.state.head && now < heartbeatAt) return;
    const { head: sequence, epoch } = replica.state;
    await upstream.acknowledge({ deviceId: device.id, sequence, epoch });
    acknowledged = sequence;
    heartbeatAt = now + times.heartbeatMs;
  };

  /** Compares checksums when it is time. A difference counts when it is seen twice with equal sums. */
  const verify = async (replica: Replica): Promise<boolean> => {
    if (clock.monotonic() < verifyAt) return false;
    const found = await compareChecksums(replica, upstream, registry);
    if (found === null) return false;
    toRepair = [...found].flatMap(([type, sum]) => (suspects.get(type) === sum ? type : []));
    suspects = found;
    verifyAt = clock.monotonic() + (found.size > 0 ? 0 : times.verifyMs);
    return toRepair.length > 0;
  };

  const tail = async (): Promise<FollowerEvent> => {
    const context = await contextOf();
    const { replica } = context;
    const page = await pullPage(context, fetched, limits.pageMax);
    attempts = 0;
    leaderHead = page.head;
    telemetry.gauge("follower_lag", Math.max(0, page.head - replica.state.head), labels);
    if (page.hasMore) return "behind";
    await acknowledge(replica);
    if ((await outbox.drain()) > 0) return "behind";
    return (await verify(replica)) ? "mismatch" : "caughtUp";
  };

  const repair = async (): Promise<FollowerEvent> => {
    const context = await contextOf();
    const types = [...new Set(toRepair)];
    telemetry.log("error", "Records differ from the leader's; they are fetched again.", {
      ...labels,
      types: types.join(),
    });
    await takeSnapshot(context, types);
    context.replica.hub.reset("overflow", context.replica.state);
    telemetry.count("follower_repairs", types.length);
    repairs += types.length;
    suspects = new Map();
    verifyAt = 0;
    return "repaired";
  };

  const backfill = async (): Promise<FollowerEvent> => {
    await takeSnapshot(await contextOf(), null);
    attempts = 0;
    fetched.clear();
    verifyAt = 0;
    return "snapshotDone";
  };

  const isResting = (): boolean => state === "live" || state === "waiting" || isHalted(state);

  /** One step of a state that works. */
  const work = async (): Promise<void> => {
    const does: Partial<Record<State, () => Promise<FollowerEvent>>> = {
      connecting: connect,
      backfilling: backfill,
      tailing: tail,
      repairing: repair,
    };
    try {
      const event = (await does[state]?.()) ?? "stop";
      move(requested ?? event);
    } catch (error) {
      const event = toEvent(error);
      if (event === "failed") attempts += 1;
      move(requested ?? event, error instanceof Error ? error.message : String(error));
    }
    requested = null;
  };

  /** One wait of a state that rests, and what comes after it. */
  const rest = async (): Promise<void> => {
    if (state === "live") await bell.wait(times.pollMs);
    else if (state === "waiting") await bell.wait(backoffMs(attempts - 1, random()));
    else await bell.wait(times.haltedMs);
    move(requested ?? (state === "live" ? "behind" : "retry"));
    requested = null;
  };

  const request = (event: FollowerEvent): void => {
    if (isResting() || running === null) move(event);
    else requested = event;
    bell.ring();
  };

  const run = async (): Promise<void> => {
    const listening = listen();
    while (!isOver(state)) await (isResting() ? rest() : work());
    // Whoever still waits for hints looks up, and sees that it is over.
    bell.ring();
    await listening;
  };

  const listen = (): Promise<void> =>
    listenForHints({
      upstream,
      bell,
      random,
      after: () => last?.state.head ?? 0,
      isOver: () => isOver(state),
      onHint: () => {
        if (state === "live" || state === "waiting") bell.ring();
      },
    });

  return {
    get status() {
      return { state, reason, leaderUrl, head: last?.state.head ?? 0, leaderHead, repairs };
    },
    upstream,
    outbox,
    settle: async () => {
      if (state === "live") move("behind");
      else if (state === "waiting" || isHalted(state)) move("retry");
      while (!isResting() && !isOver(state)) await work();
      return state;
    },
    run: () => (running ??= run()),
    wake: () => bell.ring(),
    resume: ({ acceptHistory = false } = {}) =>
      request(acceptHistory && state === "foreign" ? "needsSnapshot" : "resume"),
    stop: async (why = "stop") => {
      request(why);
      await running;
    },
  };
}
