import type { Clock } from "../base/clock.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";

/** Whoever waits for a sequence to be here. */
export interface Arrivals {
  /** The head has moved: wakes those whose sequence is reached. */
  moved(): void;
  /** Resolves once the head has reached `sequence`. @throws overloaded after the limit */
  reached(sequence: number): Promise<void>;
}

const LOOK_EVERY_MS = 50;

export function createArrivals(options: {
  readonly state: { readonly head: number };
  readonly clock: Clock;
  readonly limits: Limits;
  /** Looks whether others have moved the head; in a replica, unless it is to be the newest. */
  readonly refresh: (isNewest: boolean) => Promise<void>;
}): Arrivals {
  const { state, clock, limits, refresh } = options;
  const waiting = new Set<() => void>();
  return {
    moved: () => {
      for (const wake of waiting) wake();
    },
    reached: async (sequence) => {
      if (state.head < sequence) await refresh(false);
      if (state.head >= sequence) return;
      await new Promise<void>((resolve, reject) => {
        const stopLooking = clock.every(LOOK_EVERY_MS, () => void refresh(true).catch(() => {}));
        const wake = (): void => {
          if (state.head < sequence) return;
          waiting.delete(wake);
          stopLooking();
          resolve();
        };
        waiting.add(wake);
        void clock.sleep(limits.minSequenceWaitMs).then(() => {
          if (!waiting.delete(wake)) return;
          stopLooking();
          const detail = `This node has sequence ${state.head}, not yet ${sequence}.`;
          reject(new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail }));
        });
      });
    },
  };
}
