/** Time as the service sees it; tests pass their own. */
export interface Clock {
  /** Wall time in milliseconds since 1970: for people and retention, never for ordering. */
  now(): number;
  /** Milliseconds that only rise: for leases, deadlines and measurements. */
  monotonic(): number;
  sleep(ms: number): Promise<void>;
  /** Calls back every `ms` until the returned function is called. */
  every(ms: number, callback: () => void): () => void;
  /** Calls back once everything that has already arrived has been handled; waits for nothing else. */
  defer(callback: () => void): void;
}

/** Node's, where there is one; its types may not be. */
declare const setImmediate: ((run: () => void) => unknown) | undefined;

/** The only place that reads real time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // A timer that is asked for more than it can count ends at once.
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 2 ** 31 - 1))),
  every: (ms, callback) => {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
  defer: (callback) => {
    (typeof setImmediate === "function" ? setImmediate : setTimeout)(callback);
  },
};
