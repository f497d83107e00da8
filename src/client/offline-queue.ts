import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { nextGroup, refusedOf } from "./mutation.ts";
import type { Ended, Outcome, QueuedMutation } from "./mutation.ts";

/** A mutation that fails this often for no reason the service can name is set aside. */
const failuresMax = 5;

export interface OfflineQueueOptions {
  readonly send: (group: readonly QueuedMutation[]) => Promise<Outcome>;
  readonly onSending: (id: string) => void;
  /** Puts them on disk. Awaited before they are sent. */
  readonly record: (mutations: readonly QueuedMutation[]) => Promise<void>;
  /**
   * Told once for each mutation, with those of its group that are sent again. Awaited before the next
   * is sent, so that disk and order agree.
   */
  readonly onSettled: (ends: readonly Ended[], rest: readonly QueuedMutation[]) => Promise<void>;
  readonly createId: () => string;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Mutations in the order they were made, one under way at a time, or one group of a backlog: a later one
 * may rest on an earlier one. What the service refuses is set aside and the rest goes on; what it cannot answer now waits.
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
  /** What is added now is sent at once. */
  readonly isIdle: boolean;
}

/** The mutations that wait, in their order. */
function createLine() {
  const waiting: QueuedMutation[] = [];
  return {
    waiting,
    remove: (id: string): void => {
      const at = waiting.findIndex((one) => one.id === id);
      if (at >= 0) waiting.splice(at, 1);
    },
    replace: (changed: readonly QueuedMutation[]): void => {
      const known = new Map(changed.map((one) => [one.id, one]));
      for (const [at, { id }] of waiting.entries()) {
        const one = known.get(id);
        if (one !== undefined) waiting[at] = one;
      }
    },
  };
}

/** Sends while it may: `pace` says whether, and lets a wait end early. */
function createSender({ clock, random, onSending, send }: OfflineQueueOptions) {
  const pace = { isActive: false, wake: (): void => {} };
  /** Waits for its time, or until the connection comes or goes. */
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      pace.wake = resolve;
      void clock.sleep(ms).then(resolve);
    });
  return {
    pace,
    /** Sends until there is an answer; null when it may send no more. */
    settle: async (group: readonly QueuedMutation[]): Promise<readonly Ended[] | null> => {
      let failureCount = 0;
      for (let attempt = 0; pace.isActive; attempt += 1) {
        for (const { id } of group) onSending(id);
        const outcome = await send(group);
        if (outcome.kind === "ended") return outcome.ends;
        const { problem } = outcome;
        if (problem.code === "internal") failureCount += 1;
        // Of a group any may be at fault.
        if (failureCount >= failuresMax) return refusedOf(problem, group);
        await rest(Math.max(problem.retryAfterMs ?? 0, backoffMs(attempt, random())));
      }
      return null;
    },
  };
}

export function createOfflineQueue(options: OfflineQueueOptions): OfflineQueue {
  const { waiting, remove, replace } = createLine();
  const { pace, settle } = createSender(options);
  let isRunning = false;

  /** What goes out next, and how: on disk before the first attempt. */
  const decide = async (): Promise<readonly QueuedMutation[]> => {
    const next = nextGroup(waiting);
    if (next.every(({ group }) => group !== undefined)) return next;
    const id = options.createId();
    const decided = next.map((one, at): QueuedMutation => ({
      ...one,
      group: next.length > 1 ? { id, at } : "alone",
    }));
    await options.record(decided);
    replace(decided);
    return decided;
  };
  /** What has no end yet is sent again, by itself when nobody knows which of a group is at fault. */
  const finish = async (group: readonly QueuedMutation[], ends: readonly Ended[]) => {
    const ended = new Set(ends.map(({ mutation }) => mutation.id));
    const again = group
      .filter(({ id }) => !ended.has(id))
      .map(({ id, request }): QueuedMutation => {
        return ends.length > 0 ? { id, request } : { id, request, group: "alone" };
      });
    // Discarded meanwhile: its fate is told all the same, so that what was committed shows.
    for (const id of ended) remove(id);
    replace(again);
    await options.onSettled(ends, again);
  };
  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    while (pace.isActive && waiting.length > 0) {
      const group = await decide();
      const ends = await settle(group);
      if (ends === null) break;
      await finish(group, ends);
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
      replace(mutations);
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
    get isIdle() {
      return pace.isActive && waiting.length === 0;
    },
  };
}
