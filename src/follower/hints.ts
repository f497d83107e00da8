import { backoffMs } from "../base/backoff.ts";
import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { WireEvent } from "../stream/event.ts";
import { readParts, readValues } from "../stream/unpack.ts";
import type { Bell } from "./bell.ts";
import type { Upstream } from "./upstream.ts";

export interface HintOptions {
  readonly upstream: Upstream;
  readonly bell: Bell;
  readonly clock: Clock;
  /** A stream that says nothing for so long has nobody at its other end. */
  readonly silenceMs: number;
  readonly random: () => number;
  readonly after: () => number;
  readonly isOver: () => boolean;
  readonly onHint: () => void;
  /** How far something is that the leader does; the log does not tell it. */
  readonly onJob: (event: WireEvent) => void;
}

/** An event of the leader may have so many bytes; more is no event. */
const EVENT_BYTES = 67_108_864;

/** So many events that were passed on are remembered. */
const PASSED_MAX = 1_000;

/** Passes each event on once: what is told here may come back to those that follow in a circle. */
function passOnce(onJob: HintOptions["onJob"]): HintOptions["onJob"] {
  const passed = createBoundedMap<string, true>(PASSED_MAX);
  return (event) => {
    const { id } = event.envelope;
    if (passed.get(id) === undefined) onJob(event);
    passed.set(id, true);
  };
}

/** Reads one stream of the leader until it ends or falls silent. Resolves to whether anything came. */
async function readOnce(options: HintOptions, abort: AbortController): Promise<boolean> {
  const { upstream, clock, silenceMs } = options;
  let heardAt = clock.monotonic();
  const stopListening = clock.every(silenceMs / 4, () => {
    if (clock.monotonic() - heardAt < silenceMs) return;
    // TCP would wait for hours for a machine that is gone.
    upstream.leave();
    abort.abort();
  });
  let isFruitful = false;
  try {
    const body = await upstream.events(options.after(), abort.signal);
    if (body === null) return false;
    for await (const { values, restBytes } of readValues(readParts(body, abort.signal))) {
      isFruitful = true;
      heardAt = clock.monotonic();
      options.onHint();
      for (const value of values as (WireEvent | null)[])
        if (value?.kind?.type === "Job") options.onJob(value);
      if (restBytes > EVENT_BYTES) break;
    }
    return isFruitful;
  } finally {
    stopListening();
  }
}

/**
 * The leader's stream as a hint that something happened: what it says of records is not used, because
 * the log is pulled anyway. While it is broken the poll goes on alone.
 */
export async function listenForHints(given: HintOptions): Promise<void> {
  const options = { ...given, onJob: passOnce(given.onJob) };
  const { bell, isOver } = options;
  for (let failures = 0; !isOver();) {
    const abort = new AbortController();
    const unwatch = bell.onRing(() => {
      if (isOver()) abort.abort();
    });
    const isFruitful = await readOnce(options, abort).catch(() => false);
    unwatch();
    failures = isFruitful ? 0 : failures + 1;
    if (!isOver()) await bell.pause(backoffMs(failures, options.random()));
  }
}
