import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Receipt, Submission } from "./change.ts";

/** A submission and whoever waits for its answer. */
export interface Waiting {
  readonly submission: Submission;
  readonly since: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Work that must be alone with the database. */
interface Alone {
  readonly run: () => Promise<void>;
}

/** What waits for the writer of a library, in order and within bounds. */
export interface Queue {
  push(one: Waiting | Alone): void;
  /** What comes next: one piece of work, or the submissions that go into one transaction. */
  next(): Alone | readonly Waiting[] | null;
  /** @throws overloaded when `bytes` more do not fit */
  assertRoom(bytes: number): void;
  readonly length: number;
}

export function createQueue(limits: Limits): Queue {
  const queue: (Waiting | Alone)[] = [];
  let queueBytes = 0;

  const takeGroup = (): Waiting[] => {
    const group: Waiting[] = [];
    let changes = 0;
    let bytes = 0;
    for (let next = queue[0]; next !== undefined && "submission" in next; next = queue[0]) {
      changes += next.submission.changes.length;
      bytes += next.submission.bytes;
      if (group.length > 0 && (changes > limits.groupChanges || bytes > limits.groupBytes)) break;
      group.push(next);
      queue.shift();
      queueBytes -= next.submission.bytes;
    }
    return group;
  };

  return {
    push: (one) => {
      if ("submission" in one) queueBytes += one.submission.bytes;
      queue.push(one);
    },
    next: () => {
      const [first] = queue;
      if (first === undefined) return null;
      if ("submission" in first) return takeGroup();
      queue.shift();
      return first;
    },
    assertRoom: (bytes) => {
      if (queue.length < limits.queueLength && queueBytes + bytes <= limits.queueBytes) return;
      const detail = "The commit queue is full.";
      throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
    },
    get length() {
      return queue.length;
    },
  };
}
