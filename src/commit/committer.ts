import type { Limits } from "../protocol/limits.ts";
import { guardOf } from "../store/failure.ts";
import type { Receipt, Submission } from "./change.ts";
import { assertLeading, createGroupRunner } from "./group-runner.ts";
import type { GroupOptions } from "./group-runner.ts";
import { createQueue } from "./queue.ts";

/** The one writer of a library: what waits together commits together. */
export interface Committer {
  /** Resolves once the transaction is durable. @throws what the plan or the database refuses */
  submit(submission: Submission): Promise<Receipt>;
  /** Runs something that must be alone with the database. */
  exclusive<Result>(run: () => Promise<Result>): Promise<Result>;
  /** Commits one submission from inside `exclusive`. */
  commitNow(submission: Submission): Promise<Receipt>;
  /** Resolves when everything that waits has been answered. */
  drained(): Promise<void>;
  readonly length: number;
}

export interface CommitterOptions extends GroupOptions {
  readonly limits: Limits;
}

export function createCommitter(options: CommitterOptions): Committer {
  const { state, clock, telemetry } = options;
  const queue = createQueue(options.limits);
  const groups = createGroupRunner(options);
  let isRunning = false;
  let idle: PromiseWithResolvers<void> | null = null;

  const run = async (): Promise<void> => {
    for (let next = queue.next(); next !== null; next = queue.next()) {
      telemetry.gauge("commit_queue_length", queue.length);
      if ("run" in next) await next.run();
      else await groups.run(next);
      // One turn of the loop lets requests that arrived during the write join the next group.
      await new Promise<void>((resolve) => clock.defer(resolve));
    }
    isRunning = false;
    idle?.resolve();
    idle = null;
  };
  const enqueue = (one: Parameters<typeof queue.push>[0]): void => {
    queue.push(one);
    if (isRunning) return;
    isRunning = true;
    clock.defer(() => void run());
  };
  const assertRoom = (bytes: number): void => {
    assertLeading(state, clock);
    queue.assertRoom(bytes);
  };

  return {
    submit: (submission) =>
      new Promise((resolve, reject) => {
        assertRoom(submission.bytes);
        enqueue({ submission, since: clock.monotonic(), resolve, reject });
      }),
    exclusive: (work) =>
      new Promise((resolve, reject) => {
        assertRoom(0);
        const refuse = async (error: unknown): Promise<void> =>
          reject(guardOf(error) === "epoch" ? await groups.fenced() : error);
        const run = async (): Promise<void> => {
          try {
            assertLeading(state, clock);
            resolve(await work());
          } catch (error) {
            await refuse(error).catch(reject);
          }
        };
        enqueue({ run });
      }),
    commitNow: (submission) =>
      new Promise((resolve, reject) => {
        const waiting = { submission, since: clock.monotonic(), resolve, reject };
        groups.run([waiting]).catch(reject);
      }),
    drained: () => {
      if (!isRunning) return Promise.resolve();
      idle ??= Promise.withResolvers();
      return idle.promise;
    },
    get length() {
      return queue.length;
    },
  };
}
