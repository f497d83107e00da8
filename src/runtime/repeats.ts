import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";

/** How long an error that says the same again is counted instead of written. */
const QUIET_MS = 60_000;
const KNOWN_MAX = 1_000;

/**
 * Tells how often the same was said since it was written last, or null when it is not to be written
 * yet: what a service does every second fails every second while its database is away.
 */
export function createRepeats(clock: Clock): (text: string) => number | null {
  const known = createBoundedMap<string, { readonly writtenAt: number; count: number }>(KNOWN_MAX);
  return (text) => {
    const now = clock.monotonic();
    const last = known.get(text);
    if (last !== undefined && now - last.writtenAt < QUIET_MS) {
      last.count += 1;
      return null;
    }
    known.set(text, { writtenAt: now, count: 0 });
    return last?.count ?? 0;
  };
}
