import { backoffMs } from "../base/backoff.ts";
import type { Bell } from "./bell.ts";
import type { Upstream } from "./upstream.ts";

export interface HintOptions {
  readonly upstream: Upstream;
  readonly bell: Bell;
  readonly random: () => number;
  readonly after: () => number;
  readonly isOver: () => boolean;
  readonly onHint: () => void;
}

/** Reads one stream of the leader to its end. Resolves to whether anything came. */
async function readOnce(options: HintOptions, signal: AbortSignal): Promise<boolean> {
  const body = await options.upstream.events(options.after(), signal);
  if (body === null) return false;
  const reader = body.getReader();
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}));
  let isFruitful = false;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    isFruitful = true;
    options.onHint();
  }
  return isFruitful;
}

/**
 * The leader's stream as a hint that something happened: what it says is not used, because the log is
 * pulled anyway. While it is broken the poll goes on alone.
 */
export async function listenForHints(options: HintOptions): Promise<void> {
  const { bell, isOver } = options;
  for (let failures = 0; !isOver();) {
    const abort = new AbortController();
    const unwatch = bell.onRing(() => {
      if (isOver()) abort.abort();
    });
    const isFruitful = await readOnce(options, abort.signal).catch(() => false);
    unwatch();
    failures = isFruitful ? 0 : failures + 1;
    if (!isOver()) await bell.pause(backoffMs(failures, options.random()));
  }
}
