/**
 * What each working state of `state.ts` does, and the event it ends with.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { LibraryState } from "../lease/lease.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { takeSnapshot } from "./backfill.ts";
import { circular } from "./chain.ts";
import type { BackfillContext, Replica } from "./backfill.ts";
import type { Outbox } from "./outbox.ts";
import { readProgress } from "./progress.ts";
import type { FollowerEvent, State } from "./state.ts";
import { pullPage } from "./tail.ts";
import type { LeaderDescription, Upstream } from "./upstream.ts";
import { compareChecksums } from "./verify.ts";

export interface StepOptions {
  readonly device: { readonly id: string; readonly name: string };
  readonly open: () => Promise<Replica>;
  readonly whileOpen: <Result>(run: () => Promise<Result>) => Promise<Result>;
  readonly close: () => Promise<void>;
  readonly upstream: Upstream;
  readonly outbox: Outbox;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly labels: { readonly library: string };
  readonly times: { readonly heartbeatMs: number; readonly verifyMs: number };
}

/** What the steps have seen, for whoever asks how the follower does. */
interface Seen {
  last: Replica | null;
  leaderHead: number | null;
  repairs: number;
  /** Failures since something came, or all that waited had an end. */
  attempts: number;
  /** Entries that came and writes that the leader took. */
  gains: number;
  /** Of which history the copy is; null until a whole snapshot has brought it. */
  historyId: string | null;
  /** The leader follows this copy, so that what is sent there would come back. */
  isCircle: boolean;
}

export interface Steps {
  readonly seen: Seen;
  /** Whether another node of this service has replaced the copy by a whole snapshot. */
  isReplaced(): Promise<boolean>;
  /** Does what the state stands for. */
  run(state: State): Promise<FollowerEvent>;
}

/** Refuses a leader whose history is not the one this device has begun. @throws history_changed */
function assertAhead(leader: LeaderDescription, own: LibraryState): void {
  const isOther = leader.historyId !== own.historyId;
  const hasLess = leader.head < own.head;
  if (isOther || (hasLess && leader.epoch !== own.epoch)) {
    const detail = isOther
      ? "The leader has another history: it was restored, wiped or replaced."
      : `The leader ends at ${leader.head}, this device has ${own.head}: it lost entries.`;
    const facts = { historyId: leader.historyId, head: leader.head };
    throw new SyncError("history_changed", facts, { detail });
  }
  if (hasLess) {
    const detail = `The leader answers from ${leader.head}, before this device's ${own.head}.`;
    throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  }
}

/** Whether the copy has moved otherwise than by its log since it was opened here. */
async function isReplaced({ state, database }: Replica): Promise<boolean> {
  const sql = "SELECT 1 FROM library WHERE history_id <> ? OR head < ? OR oldest_sequence > ?";
  const args = [state.historyId, state.head, state.head + 1];
  const [rows = []] = await database.read([{ sql, args }]);
  return rows.length > 0;
}

/** Tells the leader how far this device is, and every now and then that it lives. */
function createAcknowledgement({ upstream, clock, device, times }: StepOptions) {
  let heartbeatAt = 0;
  let acknowledged = -1;
  return async ({ state }: Replica): Promise<void> => {
    const now = clock.monotonic();
    if (acknowledged === state.head && now < heartbeatAt) return;
    const { head: sequence, epoch } = state;
    await upstream.acknowledge({ deviceId: device.id, sequence, epoch });
    acknowledged = sequence;
    heartbeatAt = now + times.heartbeatMs;
  };
}

/** The types whose records may differ from the leader's. */
function createDoubts({ upstream, registry, clock, times }: StepOptions) {
  let toRepair: readonly string[] = [];
  let suspects: ReadonlyMap<string, number> = new Map();
  let verifyAt = 0;
  return {
    get types() {
      return [...new Set(toRepair)];
    },
    repair: (types: readonly string[]): void => {
      toRepair = types;
    },
    /** Compares checksums when it is time. A difference counts when it is seen twice with equal sums. */
    verify: async (replica: Replica): Promise<boolean> => {
      if (clock.monotonic() < verifyAt) return false;
      const found = await compareChecksums(replica, upstream, registry);
      if (found === null) return false;
      toRepair = [...found].flatMap(([type, sum]) => (suspects.get(type) === sum ? type : []));
      suspects = found;
      verifyAt = clock.monotonic() + (found.size > 0 ? 0 : times.verifyMs);
      return toRepair.length > 0;
    },
    /** The records were just fetched: looks again at once. */
    clear: (): void => {
      suspects = new Map();
      verifyAt = 0;
    },
  };
}

/** Asks the leader who it is, and tells it who this is. @throws forbidden when it follows this device */
async function greet({ upstream, device }: StepOptions, seen: Seen): Promise<LeaderDescription> {
  const leader = await upstream.describe();
  seen.leaderHead = leader.head;
  const chain = await upstream.chain([device.id]);
  seen.isCircle = chain.includes(device.id);
  if (seen.isCircle) throw circular(chain);
  await upstream.register(device).catch(() => {});
  return leader;
}

/** `isAnew`: another node has taken a whole snapshot, of which this one has only now heard. */
async function openContext(
  { open, close, upstream, registry, telemetry }: StepOptions,
  seen: Seen,
): Promise<BackfillContext & { readonly isAnew: boolean }> {
  let replica = await open();
  const isAnew = await isReplaced(replica);
  if (isAnew) {
    await close();
    replica = await open();
  }
  seen.last = replica;
  return { replica, upstream, registry, telemetry, reopen: close, isAnew };
}

const nothingSeen: Seen = {
  last: null,
  leaderHead: null,
  repairs: 0,
  attempts: 0,
  gains: 0,
  historyId: null,
  isCircle: false,
};

type Work = Partial<Record<State, () => Promise<FollowerEvent>>>;

export function createSteps(options: StepOptions): Steps {
  const { outbox, limits, telemetry, labels } = options;
  const seen: Seen = { ...nothingSeen };
  const fetched = new Map<string, number>();
  const acknowledge = createAcknowledgement(options);
  const doubts = createDoubts(options);

  const connect = async (): Promise<FollowerEvent> => {
    const { replica } = await openContext(options, seen);
    const progress = await readProgress(replica.database);
    if (progress === null) return "promote";
    const isBackfilled = progress.isBackfilled || progress.snapshot?.isFull === false;
    seen.historyId = isBackfilled ? replica.state.historyId : null;
    const leader = await greet(options, seen);
    if (!isBackfilled) return "needsSnapshot";
    assertAhead(leader, replica.state);
    if (progress.snapshot === null) return "behind";
    doubts.repair(progress.snapshot.types.map((type) => type.replace("*", "")));
    return "mismatch";
  };

  const tail = async (): Promise<FollowerEvent> => {
    const context = await openContext(options, seen);
    const { replica } = context;
    seen.historyId = replica.state.historyId;
    const page = await pullPage(context, fetched, limits.pageMax);
    if (page.entries.length > 0) seen.attempts = 0;
    seen.gains += page.entries.length;
    seen.leaderHead = page.head;
    telemetry.gauge("follower_lag", Math.max(0, page.head - replica.state.head), labels);
    if (page.hasMore) return "behind";
    await acknowledge(replica);
    const taken = await outbox.drain();
    seen.gains += taken;
    if (taken > 0) return "behind";
    // Not before: a leader that has nothing new and takes no writes is asked less and less often.
    seen.attempts = 0;
    return (await doubts.verify(replica)) ? "mismatch" : "caughtUp";
  };

  const repair = async (): Promise<FollowerEvent> => {
    const context = await openContext(options, seen);
    if (context.isAnew) return "repaired";
    const { types } = doubts;
    const what = { ...labels, types: types.join() };
    telemetry.log("error", "Records differ from the leader's; they are fetched again.", what);
    await takeSnapshot(context, types);
    context.replica.hub.reset("overflow", context.replica.state);
    telemetry.count("follower_repairs", types.length);
    seen.repairs += types.length;
    doubts.clear();
    return "repaired";
  };

  const backfill = async (): Promise<FollowerEvent> => {
    const context = await openContext(options, seen);
    seen.historyId = null;
    if (!context.isAnew) await takeSnapshot(context, null);
    seen.attempts = 0;
    fetched.clear();
    doubts.clear();
    return "snapshotDone";
  };

  const steps: Work = {
    connecting: connect,
    backfilling: backfill,
    tailing: tail,
    repairing: repair,
  };
  return {
    seen,
    isReplaced: () => options.whileOpen(async () => isReplaced(await options.open())),
    run: (state) => options.whileOpen(async () => (await steps[state]?.()) ?? "stop"),
  };
}
