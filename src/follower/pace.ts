import type { Clock } from "../base/clock.ts";

/** So many steps that bring nothing may follow one another at once, which any sound leader asks less of. */
const SPARE = 20;
/** Then one of them may follow another after so long. */
const STEP_MS = 250;

/**
 * How fast a follower goes round that gets nothing for it. Each state has its own reasons to go on at once,
 * and a leader that lies, or is this follower itself, can keep giving them without end.
 */
export interface Pace {
  /** One more step is done. One that brought something makes all those before it worth their while. */
  count(isGain: boolean): void;
  /** How long the next one has to wait. */
  dueMs(): number;
}

export function createPace(clock: Clock): Pace {
  let paidUntil = 0;
  return {
    count: (isGain) => {
      paidUntil = isGain ? 0 : Math.max(paidUntil, clock.monotonic()) + STEP_MS;
    },
    dueMs: () => Math.max(0, paidUntil - clock.monotonic() - SPARE * STEP_MS),
  };
}
