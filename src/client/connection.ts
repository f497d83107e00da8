import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { createFrameReader } from "./frames.ts";
import { nextState } from "./state.ts";
import type { ConnectionEvent, ConnectionState } from "./state.ts";
import type { ClientProblem, Transport } from "./transport.ts";
import { createDecoder } from "./wire.ts";
import type { StreamFrame } from "./wire.ts";

/** Where the next stream begins; null for the head. */
export interface Position {
  readonly after: number | null;
  readonly historyId: string | null;
}

export interface ConnectionOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  /** A stream that is silent for longer is dead; the service beats every 15 s. */
  readonly silenceMs: number;
  readonly position: () => Position;
  /** Applies frames in order. "gap": something before them is missing. */
  readonly onFrames: (frames: readonly StreamFrame[]) => "applied" | "gap";
  /** The position cannot be resumed from: forget it, so that the next stream begins at the head. */
  readonly onLostPosition: (problem: ClientProblem | null) => void;
  readonly onState: (state: ConnectionState, problem: ClientProblem | null) => void;
}

/** One resumable stream, driven by the table in `state.ts`. */
export interface Connection {
  readonly state: ConnectionState;
  dispatch(event: ConnectionEvent): void;
}

export const EVENTS_MSGPACK = "application/vnd.syncline.events+msgpack";

function faultOf(error: unknown): ClientProblem {
  const detail = error instanceof Error ? error.message : String(error);
  return {
    code: "unreachable",
    status: 0,
    detail: `The stream was lost: ${detail}`,
    retry: "later",
  };
}

export function createConnection(options: ConnectionOptions): Connection {
  const { transport, clock, random, position } = options;
  let state: ConnectionState = "standby";
  let stop = new AbortController();
  let attempt = 0;
  let waitMs: number | null = null;
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
    const ms = Math.max(waitMs ?? 0, backoffMs(attempt, random()));
    attempt += 1;
    waitMs = null;
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
    const { status } = problem;
    waitMs = problem.retryAfterMs ?? null;
    if (status === 401 || status === 403) return dispatch("denied", problem);
    if (status === 404 || status === 426 || status === 400) return dispatch("refused", problem);
    if (status === 410) options.onLostPosition(problem);
    dispatch("lost", problem);
  };

  const take = (frames: readonly StreamFrame[]): void => {
    for (const frame of frames) {
      if (frame.kind === "hello") {
        target = frame.hello.head;
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

  const read = async (body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> => {
    const cutter = createFrameReader();
    let decode = createDecoder();
    const reader = body.getReader();
    signal.addEventListener("abort", () => void reader.cancel().catch(() => {}), { once: true });
    for (;;) {
      const { value, done } = await reader.read();
      if (signal.aborted) return;
      if (done) throw new Error(cutter.isInside ? "cut in the middle of a frame" : "it ended");
      heardAt = clock.monotonic();
      const frames: StreamFrame[] = [];
      const onFrame = (bytes: Uint8Array): void => {
        const frame = decode(bytes);
        frames.push(frame);
        if (frame.kind !== "hello" || frame.hello.structures === undefined) return;
        decode = createDecoder(frame.hello.structures);
        cutter.setStructures(frame.hello.structures);
      };
      try {
        cutter.push(value, onFrame);
      } catch (error) {
        if (isStuck()) options.onLostPosition(faultOf(error));
        throw error;
      } finally {
        take(frames);
      }
      if (signal.aborted) return;
    }
  };

  let heardAt = 0;
  const run = async (signal: AbortSignal): Promise<void> => {
    heardAt = clock.monotonic();
    let isSilent = false;
    const request = new AbortController();
    signal.addEventListener("abort", () => request.abort(), { once: true });
    const unwatch = clock.every(Math.min(1_000, options.silenceMs / 2), () => {
      isSilent = clock.monotonic() - heardAt > options.silenceMs;
      if (isSilent) request.abort();
    });
    try {
      const { after, historyId } = position();
      const reply = await transport.send("events", {
        query: {
          records: 1,
          after: after ?? undefined,
          history_id: after === null ? undefined : (historyId ?? undefined),
        },
        accept: EVENTS_MSGPACK,
        signal: request.signal,
      });
      if (signal.aborted) {
        if (reply.isOk) void reply.response.body?.cancel();
        return;
      }
      if (!reply.isOk) return fail(reply.problem);
      if (reply.response.body === null) throw new Error("no body");
      await read(reply.response.body, request.signal);
      if (isSilent) throw new Error(`nothing was heard for ${options.silenceMs / 1_000} s`);
    } catch (error) {
      if (!signal.aborted) fail(faultOf(error));
    } finally {
      unwatch();
      request.abort();
    }
  };

  return {
    get state() {
      return state;
    },
    dispatch,
  };
}
