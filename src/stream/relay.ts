import type { Clock } from "../base/clock.ts";
import type { LibraryState } from "../lease/lease.ts";
import { isSyncError } from "../protocol/errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { StreamEvent, WireEvent } from "./event.ts";
import type { Hub } from "./hub.ts";
import type { ReadLog } from "./log-pages.ts";
import { readParts, readValues } from "./unpack.ts";

/** Opens the bare msgpack stream of a library at its leader; null when there is no way to it. */
export type OpenUpstream = (request: {
  readonly leaderUrl: string;
  readonly libraryId: string;
  readonly after: number;
  readonly signal: AbortSignal;
}) => Promise<ReadableStream<Uint8Array> | null>;

/**
 * Feeds the hub of a node that does not lead: one stream from the leader, however many subscribers,
 * resumed by sequence; the log in the database while the leader cannot be reached.
 */
export interface Relay {
  /** Begins when someone listens, unless it is paused. */
  start(): void;
  /** Resolves when it will publish no more: this node is about to lead. */
  pause(): Promise<void>;
  /** This node does not lead, or no longer. */
  resume(): void;
  /** Leaves an upstream that is no longer the leader's, or has fallen silent; stops when nobody listens. */
  check(): void;
  /** Publishes what the log has up to `head` and the hub has not. */
  catchUp(head: number): Promise<void>;
  readonly isRunning: boolean;
}

export interface RelayOptions {
  readonly hub: Hub;
  readonly state: LibraryState;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly limits: { readonly heartbeatMs: number };
  readonly readLog: ReadLog;
  readonly openUpstream: OpenUpstream;
  /** Reads head and leader from the database. */
  readonly refresh: () => Promise<void>;
  readonly onMoved: () => void;
}

/** Between two looks at the database, and between two tries to reach the leader. */
const POLL_MS = 100;
const RETRY_MS = 1_000;
const CONNECT_MS = 2_000;
/** Heartbeats that may stay away before the leader counts as hung. */
const BEATS_MISSED = 3;

/** The type that filters ask for: of the record, or of the bulk. */
const typeOf = ({ kind }: WireEvent): string => String(kind.data["resource_type"]);

/** What arrives, on its way into the hub: each position once, in order. */
function createIntake(options: RelayOptions) {
  const { hub, state } = options;

  const deliver = (events: readonly StreamEvent[], end: number): void => {
    if (end <= hub.head) return;
    const { head } = hub;
    hub.publish(
      events.filter((event) => event.sequence > head),
      end,
    );
    if (end <= state.head) return;
    state.head = end;
    options.onMoved();
  };

  const catchUp = async (head: number): Promise<void> => {
    while (hub.head < head) {
      try {
        const page =
          hub.size === 0 ? { events: [], end: head } : await options.readLog(hub.head, head);
        deliver(page.events, page.end);
      } catch (error) {
        if (!isSyncError(error, "cursor_expired")) throw error;
        // The log no longer has what the hub has not: whoever listens comes back and is told to reset.
        hub.goodbye("max_age", 0);
      }
    }
  };

  /** Takes in what one chunk brought. Answers false when the upstream must be left. */
  const receive = (values: readonly unknown[]): boolean => {
    const events: StreamEvent[] = [];
    let end = hub.head;
    let isGood = true;
    for (const value of values as Partial<WireEvent & Record<string, unknown>>[]) {
      if (value.envelope !== undefined) {
        const wire = value as unknown as WireEvent;
        const { sequence } = wire.envelope;
        if (sequence !== undefined) {
          events.push({ sequence, type: typeOf(wire), wire });
          end = sequence;
          // Each node tells its own subscribers who leads, once an epoch.
        } else if (wire.kind.type !== "LeaderChanged") hub.broadcast(wire);
      } else if (typeof value["skip"] === "number") end = value["skip"];
      else if ("reset" in value || "goodbye" in value) isGood = false;
    }
    deliver(events, end);
    return isGood;
  };
  return { receive, catchUp };
}

/** The stream from the leader, while it lasts. */
function createLine(options: RelayOptions, receive: (values: readonly unknown[]) => boolean) {
  const { hub, state, clock, telemetry, limits } = options;
  let upstream: { readonly abort: AbortController; readonly epoch: number } | null = null;
  let heardAt = 0;

  /** Follows the leader's stream until it ends. Answers false when it could not be opened. */
  const follow = async (signal: AbortSignal): Promise<boolean> => {
    const { leaderUrl, leaderDeviceId, epoch } = state;
    if (leaderUrl === null || leaderDeviceId === state.deviceId) return false;
    if (clock.monotonic() >= state.leaseEndsAt) return false;
    const abort = new AbortController();
    const leave = (): void => abort.abort();
    signal.addEventListener("abort", leave);
    const stopWaiting = clock.every(CONNECT_MS, leave);
    try {
      const request = { leaderUrl, libraryId: state.id, after: hub.head, signal: abort.signal };
      const body = await options.openUpstream(request);
      stopWaiting();
      if (body === null) return false;
      upstream = { abort, epoch };
      heardAt = clock.monotonic();
      telemetry.count("relay_streams");
      for await (const { values } of readValues(readParts(body, abort.signal))) {
        heardAt = clock.monotonic();
        if (signal.aborted || !receive(values)) break;
      }
      return true;
    } catch (error) {
      if (!abort.signal.aborted) telemetry.log("debug", "The relay lost its stream.", { error });
      return upstream !== null;
    } finally {
      stopWaiting();
      signal.removeEventListener("abort", leave);
      abort.abort();
      upstream = null;
    }
  };
  return {
    follow,
    /** Leaves the stream when it has fallen silent, or is no longer the leader's. */
    check: (isBehind: boolean): void => {
      if (upstream === null) return;
      const isHung = clock.monotonic() - heardAt > BEATS_MISSED * limits.heartbeatMs;
      if (isBehind || isHung || upstream.epoch < state.epoch) upstream.abort.abort();
    },
  };
}

export function createRelay(options: RelayOptions): Relay {
  const { hub, state, clock, telemetry } = options;
  const { receive, catchUp } = createIntake(options);
  const line = createLine(options, receive);
  let running: { readonly stop: AbortController; readonly done: Promise<void> } | null = null;
  let isPaused = false;
  let behindSince = 0;

  const run = async (signal: AbortSignal): Promise<void> => {
    let retryAt = 0;
    while (!signal.aborted && hub.size > 0) {
      if (clock.monotonic() >= retryAt && !(await line.follow(signal))) {
        retryAt = clock.monotonic() + RETRY_MS;
      }
      if (signal.aborted) break;
      try {
        await options.refresh();
        await catchUp(state.head);
      } catch (error) {
        telemetry.log("error", "The relay could not read the log.", { error });
      }
      await clock.sleep(POLL_MS);
    }
  };

  const start = (): void => {
    if (running !== null || isPaused || hub.size === 0) return;
    const stop = new AbortController();
    const done = run(stop.signal).finally(() => {
      running = null;
      // Someone may have come while the last round ended.
      start();
    });
    running = { stop, done };
  };
  return {
    start,
    pause: async () => {
      isPaused = true;
      running?.stop.abort();
      await running?.done;
    },
    resume: () => {
      isPaused = false;
      start();
    },
    check: () => {
      if (running === null) return;
      if (hub.size === 0) running.stop.abort();
      const isBehind = hub.head < state.head;
      if (!isBehind) behindSince = 0;
      else if (behindSince === 0) behindSince = clock.monotonic();
      line.check(behindSince > 0 && clock.monotonic() - behindSince > RETRY_MS / 2);
    },
    catchUp,
    get isRunning() {
      return running !== null;
    },
  };
}
