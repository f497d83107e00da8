import type { Clock } from "../base/clock.ts";

/** What is waited for may never come, as from a network that stalls or a disk that is held up. */
export const patienceMs = 30_000;

/** Fails when it did not come in time. */
export function inTime<Value>(
  clock: Pick<Clock, "every">,
  coming: Value | Promise<Value>,
): Promise<Value> {
  let stop = (): void => {};
  const late = new Promise<never>((_, reject) => {
    stop = clock.every(patienceMs, () =>
      reject(new Error(`Nothing came within ${patienceMs / 1_000} s.`)),
    );
  });
  return Promise.race([coming, late]).finally(stop);
}
