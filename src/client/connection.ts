import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { nextState } from "./state.ts";
import type { ConnectionEvent, ConnectionState } from "./state.ts";
import { followStream } from "./stream.ts";
import type { Position } from "./stream.ts";
import type { ClientProblem, Transport } from "./transport.ts";
import type { StreamFrame } from "./wire.ts";

export interface ConnectionOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  /** A stream that is silent for longer is dead; the service beats every 15 s. */
  readonly silenceMs: number;
  readonly position: () => Position;
  /** Applies frames in order. "gap": something before them is missing. */
  readonly onFrames: (frames: readonly StreamFrame[]) => "applied" | "duplicate" | "gap";
  /** The position cannot be resumed from: forget it, so that the next stream begins at the head. */
  readonly onLostPosition: (problem: ClientProblem | null) => void;
  readonly onState: (state: ConnectionState, problem: ClientProblem | null) => void;
}

/** One resumable stream, driven by the table in `state.ts`. */
export interface Connection {
  readonly state: ConnectionState;
  readonly dispatch: (event: ConnectionEvent) => void;
}

export function createConnection(options: ConnectionOptions): Connection {
  const { clock, random, position } = options;
  let state: ConnectionState = "standby";
  let stop = new AbortController();
  let attempt = 0;
  let waitMs = 0;
  let target = 0;
  let stuckAt: number | null | undefined;

  const dispatch = (event: ConnectionEvent, problem: ClientProblem | null = null): void => {
    const next = nextState(state, event);
    const isAgain = next === "connecting" && (event === "restart" || event === "tokenSet");
    if (next === state && !isAgain) return;
    state = next;
    options.onState(state, problem);
    if (next === "live") attempt = 0;
    if (next === "live" || next === "catching-up" || state !== next) return;
    stop.abort();
    stop = new AbortController();
    if (next === "connecting") void run(stop.signal);
    else if (next === "waiting") void wait(stop.signal);
  };

  const wait = async (signal: AbortSignal): Promise<void> => {
    const ms = Math.max(waitMs, backoffMs(attempt, random()));
    attempt += 1;
    waitMs = 0;
    await clock.sleep(ms);
    if (!signal.aborted) dispatch("due");
  };

  /** True for the second failure at one position: resuming there cannot work. */
  const isStuck = (): boolean => {
    const at = position().after;
    const isSame = stuckAt === at;
    stuckAt = isSame ? undefined : at;
    return isSame;
  };

  const fail = (problem: ClientProblem): void => {
    const { code, status } = problem;
    // Else what `goodbye` asked for.
    waitMs = problem.retryAfterMs ?? waitMs;
    if (status === 401 || status === 403) return dispatch("denied", problem);
    if (status === 404 || status === 426 || status === 400) return dispatch("refused", problem);
    if (status === 410 || (code === "unreadable" && isStuck())) options.onLostPosition(problem);
    dispatch("lost", problem);
  };

  const take = (frames: readonly StreamFrame[]): void => {
    for (const frame of frames) {
      if (frame.kind === "hello") {
        target = frame.head;
        dispatch("opened");
      } else if (frame.kind === "goodbye") waitMs = frame.retryMs;
      else if (frame.kind === "reset") target = frame.head;
    }
    if (options.onFrames(frames) === "gap") {
      if (isStuck()) options.onLostPosition(null);
      return dispatch("restart");
    }
    if (state === "catching-up" && (position().after ?? -1) >= target) dispatch("caughtUp");
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const problem = await followStream({ ...options, take }, position(), signal);
    if (!signal.aborted) fail(problem);
  };

  return {
    get state() {
      return state;
    },
    dispatch,
  };
}
