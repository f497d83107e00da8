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

export function createArrivals(options: {
  readonly state: { readonly head: number };
  readonly clock: Clock;
  readonly limits: Limits;
}): Arrivals {
  const { state, clock, limits } = options;
  const waiting = new Set<() => void>();
  return {
    moved: () => {
      for (const wake of waiting) wake();
    },
    reached: async (sequence) => {
      if (state.head >= sequence) return;
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          if (state.head < sequence) return;
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
        void clock.sleep(limits.minSequenceWaitMs).then(() => {
          if (!waiting.delete(wake)) return;
          const detail = `This node has sequence ${state.head}, not yet ${sequence}.`;
          reject(new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail }));
        });
      });
    },
  };
}
