/**
 * Follows the event stream of a library over connections that break.
 *
 *     connect ──hello──▶ read ──end, silence or error──▶ wait ──▶ connect with Last-Event-ID
 *        └──────refused with 4xx: the end, because asking again would be refused again
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import * as v from "valibot";
import { reasonOf } from "../base/reason.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import type { Api } from "./api.ts";
import { ApiError, readJson } from "./errors.ts";
import { backoffMs } from "../base/backoff.ts";

/** What to follow and whom to tell. */
export interface FollowOptions {
  readonly library: string;
  /** Starts after this sequence; without it, at the head. */
  readonly after?: number;
  readonly types?: string;
  readonly signal: AbortSignal;
  readonly onEvent: (event: unknown) => void;
  /** What happens to the connection, in a sentence. */
  readonly onNotice: (sentence: string) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

interface Position {
  /** The last position seen; null until the first `hello` says where the head is. */
  cursor: number | null;
  historyId: string | null;
  attempt: number;
  /** What the service asked for when it said goodbye. */
  retryMs: number | null;
}

const controlSchema = v.looseObject({
  history_id: v.optional(v.string()),
  head: v.optional(v.number()),
  reason: v.optional(v.string(), ""),
  retry_ms: v.optional(v.number()),
});

/** Three heartbeats of 15 s: a stream that is silent for longer is dead, whatever TCP believes. */
const silenceMs = 45_000;

/** Resolves when `signal` aborts. @throws ApiError when the service refuses the stream for good */
export async function followEvents(api: Api, options: FollowOptions): Promise<void> {
  const { clock = systemClock, random = Math.random, signal, onNotice } = options;
  const position: Position = {
    cursor: options.after ?? null,
    historyId: null,
    attempt: 0,
    retryMs: null,
  };
  let hasConnected = false;
  while (!signal.aborted) {
    let reason = "The stream ended";
    try {
      await readOnce(api, options, position);
      hasConnected = true;
    } catch (error) {
      if (signal.aborted) return;
      const isRefused = error instanceof ApiError && error.problem.status < 500;
      if (isRefused || (!hasConnected && position.historyId === null)) throw error;
      reason = reasonOf(error).replace(/\.$/, "");
    }
    if (signal.aborted) return;
    const waitMs = position.retryMs ?? backoffMs(position.attempt, random());
    position.attempt += 1;
    position.retryMs = null;
    const place = position.cursor === null ? "" : ` after ${position.cursor}`;
    onNotice(`${reason}; connecting again${place} in ${(waitMs / 1_000).toFixed(1)} s.`);
    await Promise.race([clock.sleep(waitMs), onceAborted(signal)]);
  }
}

async function readOnce(api: Api, options: FollowOptions, position: Position): Promise<void> {
  const silence = new AbortController();
  const signal = AbortSignal.any([options.signal, silence.signal]);
  const { cursor, historyId } = position;
  const response = await api.request(`/v1/libraries/${options.library}/events`, {
    query: { encoding: "json", types: options.types, history_id: historyId ?? undefined },
    headers: {
      accept: "text/event-stream",
      ...(cursor === null ? {} : { "last-event-id": String(cursor) }),
    },
    signal,
  });
  const parser = createParser({
    onEvent: (message) => handle(message, options, position),
    onId: (id) => {
      if (/^\d+$/.test(id)) position.cursor = Number(id);
    },
  });
  const clock = options.clock ?? systemClock;
  let heardAtMs = clock.monotonic();
  const stopWatching = clock.every(1_000, () => {
    if (clock.monotonic() - heardAtMs > silenceMs) {
      silence.abort(new Error(`Nothing was heard for ${silenceMs / 1_000} s`));
    }
  });
  try {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      heardAtMs = clock.monotonic();
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (options.signal.aborted) return;
    }
  } finally {
    stopWatching();
  }
}

function handle(message: EventSourceMessage, options: FollowOptions, position: Position): void {
  if (options.signal.aborted) return;
  const value = readJson(message.data);
  switch (message.event) {
    case "heartbeat":
      return;
    case "hello":
    case "reset":
    case "goodbye": {
      const parsed = v.safeParse(controlSchema, value);
      if (parsed.success) control(message.event, { ...options, position, frame: parsed.output });
      return;
    }
    default:
      if (value !== null) options.onEvent(value);
  }
}

interface Control extends FollowOptions {
  readonly position: Position;
  readonly frame: v.InferOutput<typeof controlSchema>;
}

function control(
  kind: "hello" | "reset" | "goodbye",
  { position, frame, onNotice }: Control,
): void {
  if (frame.history_id !== undefined) position.historyId = frame.history_id;
  if (kind === "hello") {
    if (position.attempt > 0) onNotice("Connected again.");
    position.attempt = 0;
    position.cursor ??= frame.head ?? null;
  } else if (kind === "reset") {
    position.cursor = frame.head ?? position.cursor;
    onNotice(
      `Events were left out (${frame.reason}); going on after ${position.cursor ?? "the head"}.`,
    );
  } else {
    position.retryMs = frame.retry_ms ?? null;
    onNotice(`The service said goodbye (${frame.reason}).`);
  }
}

function onceAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
