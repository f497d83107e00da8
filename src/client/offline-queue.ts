import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { mayPass, nextLine } from "./mutation.ts";
import type { Ended, Outcome, QueuedMutation } from "./mutation.ts";

/** A mutation that fails this often in a row for no reason the service can name is set aside. */
const failuresMax = 5;

export interface OfflineQueueOptions {
  readonly send: (line: readonly QueuedMutation[]) => Promise<Outcome>;
  readonly onSending: (id: string) => void;
  /** Told once for each mutation. Awaited before the next are sent, so that disk and order agree. */
  readonly onSettled: (ends: readonly Ended[]) => Promise<void>;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Mutations in the order they were made, one line of them under way at a time: a later one may rest on
 * an earlier one. What the service refuses is set aside and the rest goes on; what it cannot answer now
 * waits, and all behind it.
 */
export interface OfflineQueue {
  /** Adds at the end; a known id is not added again. */
  add(mutation: QueuedMutation): void;
  /** Puts what was left from before in front; what is known may have been decided on by another tab. */
  restore(mutations: readonly QueuedMutation[]): void;
  remove(id: string): void;
  /** Only one tab sends, and only while the service can be asked. */
  readonly setActive: (isActive: boolean) => void;
  readonly waiting: readonly QueuedMutation[];
}

export function createOfflineQueue(options: OfflineQueueOptions): OfflineQueue {
  const { clock, random } = options;
  const waiting: QueuedMutation[] = [];
  const pace = { isActive: false, wake: (): void => {} };
  let isRunning = false;

  const remove = (id: string): void => {
    const at = waiting.findIndex((one) => one.id === id);
    if (at >= 0) waiting.splice(at, 1);
  };
  /** Waits for its time, or until the connection comes or goes. */
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      pace.wake = resolve;
      void clock.sleep(ms).then(resolve);
    });
  const settle = async (ends: readonly Ended[]): Promise<void> => {
    // Discarded meanwhile: its fate is told all the same, so that what was committed shows.
    for (const { mutation } of ends) remove(mutation.id);
    await options.onSettled(ends);
  };
  /** Sends the first that wait until one of them has an end. */
  const sendFirst = async (): Promise<void> => {
    let isAlone = false;
    let failureCount = 0;
    for (let attempt = 0; pace.isActive && waiting.length > 0; attempt += 1) {
      const line = isAlone ? waiting.slice(0, 1) : nextLine(waiting);
      for (const { id } of line) options.onSending(id);
      const { ends, problem } = await options.send(line);
      if (ends.length > 0) return settle(ends);
      const [mutation] = line;
      if (problem === null || mutation === undefined) return;
      failureCount = problem.code === "internal" ? failureCount + 1 : 0;
      const isRefused = !mayPass(problem) || failureCount >= failuresMax;
      if (isRefused && line.length === 1)
        return settle([{ mutation, settlement: { kind: "rejected", problem } }]);
      // Nobody knows which of them is at fault.
      if (isRefused) isAlone = true;
      else await rest(Math.max(problem.retryAfterMs ?? 0, backoffMs(attempt, random())));
    }
  };
  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    while (pace.isActive && waiting.length > 0) await sendFirst();
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
      pace.wake();
      void run();
    },
    waiting,
  };
}
