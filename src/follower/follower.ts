/**
 * The loop around the table of `state.ts`: does what a state stands for, reports one event, moves.
 * Everything it must remember lies in the replica's database, so that it may be killed anywhere.
 */
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { reasonOf } from "../base/reason.ts";
import { isSyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import { guardOf, isRefused } from "../store/failure.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createBell } from "./bell.ts";
import type { Replica } from "./backfill.ts";
import { listenForHints } from "./hints.ts";
import { createOutbox } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import { createSteps } from "./steps.ts";
import { createPace } from "./pace.ts";
import { isHalted, isOver, transitions } from "./state.ts";
import type { FollowerEvent, State } from "./state.ts";
import { createUpstream } from "./upstream.ts";
import type { Fetch, Upstream } from "./upstream.ts";

/** How often a follower asks, compares and tells that it lives. */
export interface FollowerTimes {
  /** Asks the leader even without a hint. */
  readonly pollMs: number;
  readonly heartbeatMs: number;
  readonly verifyMs: number;
  /** Tries again what was blocked or refused: the device may have been upgraded or let in. */
  readonly haltedMs: number;
  /** Leaves a stream of the leader that says nothing; its heartbeats come every 15 s. */
  readonly silenceMs: number;
}

const defaultTimes: FollowerTimes = {
  pollMs: 5_000,
  heartbeatMs: 30_000,
  verifyMs: 60_000,
  haltedMs: 60_000,
  silenceMs: 40_000,
};

export interface FollowerOptions {
  readonly libraryId: string;
  /** Several nodes that serve it stand there with commas between. */
  readonly leaderUrl: string;
  readonly token: string;
  readonly device: { readonly id: string; readonly name: string };
  /** The replica, opened again when it was closed meanwhile. */
  readonly open: () => Promise<Replica>;
  /** Runs something while the replica may not be closed. */
  readonly whileOpen: <Result>(run: () => Promise<Result>) => Promise<Result>;
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
  /** Whether what is written here may go there: not to another history, and not round in a circle. */
  readonly maySend: boolean;
}

export interface Follower {
  /** As which device it follows, and writes what names none. */
  readonly deviceId: string;
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

/** Said by the database, which another node has moved meanwhile. */
const ELSEWHERE = "Another node of this service has gone on with this copy, or has promoted it.";

/** What an error means for the follower. Unknown ones may pass: they wait. */
function toEvent(error: unknown): FollowerEvent {
  if (isSyncError(error)) {
    if (error.code === "cursor_expired") return "needsSnapshot";
    if (error.code === "history_changed") return "otherHistory";
    if (error.code === "unknown_resource_type" || error.code === "invalid_record") return "poison";
    const isRefusal = ["unauthorized", "forbidden", "not_found", "protocol_too_old"];
    return isRefusal.includes(error.code) ? "refusal" : "failed";
  }
  return isRefused(error) && guardOf(error) === null ? "poison" : "failed";
}

/** States that lead to others: a follower is in them for every change, and at every look at a leader that is away. */
const passing: ReadonlySet<State> = new Set(["connecting", "tailing"]);

/** Tells where a follower has come to, once, however often it passes through others and comes back. */
function createTeller(telemetry: Telemetry, labels: { readonly library: string }) {
  let told = "";
  return (state: State, facts: Readonly<Record<string, unknown>>): void => {
    const place = isHalted(state) ? `${state} ${String(facts["why"])}` : state;
    const isKnown = passing.has(state) || place === told;
    if (!isKnown) told = place;
    const level = isKnown ? "debug" : isHalted(state) ? "error" : "info";
    telemetry.log(level, `The follower is ${state}.`, { ...labels, ...facts });
  };
}

/** The state the table of `state.ts` has led to, and why. */
function createMachine(telemetry: Telemetry, labels: { readonly library: string }) {
  let state: State = "connecting";
  let reason: string | null = null;
  let isAccepted = false;
  const tell = createTeller(telemetry, labels);
  const isWaiting = (): boolean => state === "live" || state === "waiting";
  return {
    get state() {
      return state;
    },
    get reason() {
      return reason;
    },
    isResting: (): boolean => isWaiting() || isHalted(state),
    /** A person takes the leader's other history: the one that is found, or is next compared. */
    accept: (): FollowerEvent => {
      isAccepted = state !== "foreign" && transitions[state].resume === "connecting";
      return state === "foreign" ? "needsSnapshot" : "resume";
    },
    move: (found: FollowerEvent, cause: string | null = null): void => {
      const isTaken = isAccepted && state === "connecting" && found === "otherHistory";
      const [event, why] = isTaken ? (["needsSnapshot", null] as const) : [found, cause];
      const next = transitions[state][event];
      // It holds for the next comparison: a history that comes later is another person's to decide.
      if (state === "connecting" && next !== state && event !== "failed") isAccepted = false;
      if (next !== state) tell(next, { from: state, event, why });
      if (next !== state || why !== null) reason = why;
      state = next;
      telemetry.gauge("follower_halted", isHalted(state) ? 1 : 0, labels);
    },
  };
}

/** What the loop works with. */
function createParts(options: FollowerOptions) {
  const { libraryId, leaderUrl, clock, telemetry } = options;
  const times = { ...defaultTimes, ...options.times };
  const historyId = () => steps.seen.historyId;
  const upstream = createUpstream({ ...options, url: leaderUrl, historyId });
  const database = async () => (await options.open()).database;
  const outbox = createOutbox({ database, upstream, clock });
  const labels = { library: libraryId };
  const steps = createSteps({ ...options, upstream, outbox, labels, times });
  const machine = createMachine(telemetry, labels);
  return { times, upstream, outbox, bell: createBell(clock), steps, machine };
}

function statusOf(
  { steps: { seen }, machine: { state, reason } }: ReturnType<typeof createParts>,
  leaderUrl: string,
): FollowerStatus {
  const { last, leaderHead, repairs, isCircle } = seen;
  const [head, maySend] = [last?.state.head ?? 0, state !== "foreign" && !isCircle];
  return { state, reason, leaderUrl, head, leaderHead, repairs, maySend };
}

/** What ends a rest that nobody ends. */
async function goOn({ machine, steps }: ReturnType<typeof createParts>): Promise<FollowerEvent> {
  if (machine.state === "live") return "behind";
  // Another history that was accepted at another node is the one that is followed now.
  const isSettled = machine.state === "foreign" && (await steps.isReplaced().catch(() => false));
  return isSettled ? "resume" : "retry";
}

/** Hears what the leader streams, until the follower is over. */
function listen(
  { upstream, bell, times, steps: { seen }, machine }: ReturnType<typeof createParts>,
  clock: Clock,
  random: () => number,
): Promise<void> {
  return listenForHints({
    upstream,
    bell,
    clock,
    silenceMs: times.silenceMs,
    random,
    after: () => seen.last?.state.head ?? 0,
    isOver: () => isOver(machine.state),
    // Kept while a step runs: it may have read the log before.
    onHint: () => (isHalted(machine.state) ? undefined : bell.ring()),
    onJob: (event) => seen.last?.hub.broadcast(event),
  });
}

export function createFollower(options: FollowerOptions): Follower {
  const { leaderUrl, random = Math.random } = options;
  const parts = createParts(options);
  const { times, upstream, outbox, bell, steps, machine } = parts;
  const { seen } = steps;
  const { move, isResting } = machine;
  const pace = createPace(options.clock);
  let requested: FollowerEvent | null = null;
  let running: Promise<void> | null = null;

  /** One step of a state that works. */
  const work = async (): Promise<void> => {
    try {
      const event = await steps.run(machine.state);
      move(requested ?? event);
    } catch (error) {
      const event = toEvent(error);
      if (event === "failed") seen.attempts += 1;
      move(requested ?? event, guardOf(error) === "follow" ? ELSEWHERE : reasonOf(error));
    }
    requested = null;
  };

  /** One step, and a pause where many have brought nothing. */
  const workInPace = async (): Promise<void> => {
    const { gains } = seen;
    await work();
    pace.count(seen.gains > gains);
    const ms = pace.dueMs();
    if (ms > 0 && !isOver(machine.state)) await options.clock.sleep(ms);
  };

  /** One wait of a state that rests, and what comes after it. */
  const rest = async (): Promise<void> => {
    if (machine.state === "live") await bell.wait(times.pollMs);
    else if (machine.state === "waiting") await bell.wait(backoffMs(seen.attempts - 1, random()));
    else await bell.wait(times.haltedMs);
    const event = await goOn(parts);
    move(requested ?? event);
    requested = null;
  };

  const request = (event: FollowerEvent): void => {
    if (isResting() || running === null) move(event);
    else requested = event;
    bell.ring();
  };

  const run = async (): Promise<void> => {
    const listening = listen(parts, options.clock, random);
    while (!isOver(machine.state)) await (isResting() ? rest() : workInPace());
    // Whoever still waits for hints looks up, and sees that it is over.
    bell.ring();
    await listening;
  };

  return {
    deviceId: options.device.id,
    get status() {
      return statusOf(parts, leaderUrl);
    },
    upstream,
    outbox,
    settle: async () => {
      if (isResting()) move(await goOn(parts));
      while (!isResting() && !isOver(machine.state)) await work();
      return machine.state;
    },
    run: () => (running ??= run()),
    wake: () => bell.ring(),
    resume: ({ acceptHistory = false } = {}) =>
      request(acceptHistory ? machine.accept() : "resume"),
    stop: async (why = "stop") => {
      request(why);
      await running;
    },
  };
}
