import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Outcome, QueuedMutation, Settlement } from "./mutation.ts";

/** A mutation that fails this often for no reason the service can name is set aside. */
const failuresMax = 5;

export interface OfflineQueueOptions {
  readonly send: (mutation: QueuedMutation) => Promise<Outcome>;
  readonly onSending: (id: string) => void;
  /** Told once for each mutation. Awaited before the next is sent, so that disk and order agree. */
  readonly onSettled: (mutation: QueuedMutation, settlement: Settlement) => Promise<void>;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Mutations in the order they were made, one under way at a time: a later one may rest on an earlier
 * one. What the service refuses is set aside and the rest goes on; what it cannot answer now waits.
 */
export interface OfflineQueue {
  /** Adds at the end; a known id is not added again. */
  add(mutation: QueuedMutation): void;
  /** Puts what was left from before in front. */
  restore(mutations: readonly QueuedMutation[]): void;
  remove(id: string): void;
  /** Only one tab sends, and only while the service can be asked. */
  readonly setActive: (isActive: boolean) => void;
  readonly waiting: readonly QueuedMutation[];
}

export function createOfflineQueue(options: OfflineQueueOptions): OfflineQueue {
  const { clock, random } = options;
  const waiting: QueuedMutation[] = [];
  const pace = { isActive: false };
  let isRunning = false;
  let wake: () => void = () => {};

  const remove = (id: string): void => {
    const at = waiting.findIndex((one) => one.id === id);
    if (at >= 0) waiting.splice(at, 1);
  };

  /** Waits for its time, or until the connection comes or goes. */
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      void clock.sleep(ms).then(resolve);
    });

  /** Sends until there is an answer; null when it may send no more. */
  const settle = async (mutation: QueuedMutation): Promise<Settlement | null> => {
    let failureCount = 0;
    for (let attempt = 0; pace.isActive; attempt += 1) {
      options.onSending(mutation.id);
      const outcome = await options.send(mutation);
      if (outcome.kind !== "later") return outcome;
      const { problem } = outcome;
      if (problem.code === "internal") failureCount += 1;
      if (failureCount >= failuresMax) return { kind: "rejected", problem };
      await rest(Math.max(problem.retryAfterMs ?? 0, backoffMs(attempt, random())));
    }
    return null;
  };

  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    for (let [first] = waiting; pace.isActive && first !== undefined; [first] = waiting) {
      const settlement = await settle(first);
      if (settlement === null) break;
      // Discarded meanwhile: its fate is told all the same, so that what was committed shows.
      remove(first.id);
      await options.onSettled(first, settlement);
    }
    isRunning = false;
    if (pace.isActive && waiting.length > 0) void run();
  };

  return {
    add: (mutation) => {
      if (waiting.some(({ id }) => id === mutation.id)) return;
      waiting.push(mutation);
      void run();
    },
    restore: (mutations) => {
      const known = new Set(waiting.map(({ id }) => id));
      waiting.unshift(...mutations.filter(({ id }) => !known.has(id)));
      void run();
    },
    remove,
    setActive: (isActive) => {
      if (pace.isActive === isActive) return;
      pace.isActive = isActive;
      wake();
      void run();
    },
    waiting,
  };
}
