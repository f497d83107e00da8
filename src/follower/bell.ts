import type { Clock } from "../base/clock.ts";

/** Ends a wait early. A ring that nobody waits for is kept for the next wait. */
export interface Bell {
  ring(): void;
  /** Resolves after `ms`, or at the next ring. */
  wait(ms: number): Promise<void>;
  /** Like `wait`, for who must not take the ring away from the one who waits. */
  pause(ms: number): Promise<void>;
  /** Calls back at each ring until the returned function is called. */
  onRing(listener: () => void): () => void;
}

export function createBell(clock: Clock): Bell {
  const listeners = new Set<() => void>();
  let isRung = false;
  const onRing = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const pause = async (ms: number): Promise<void> => {
    let leave: () => void = () => {};
    const rung = new Promise<void>((resolve) => {
      leave = onRing(resolve);
    });
    await Promise.race([rung, clock.sleep(ms)]).finally(leave);
  };
  return {
    ring: () => {
      isRung = true;
      for (const listener of listeners) listener();
    },
    wait: async (ms) => {
      if (!isRung) await pause(ms);
      isRung = false;
    },
    pause,
    onRing,
  };
}
