import { guardOf } from "../store/failure.ts";
import type { Receipt, Submission } from "./change.ts";
import { assertLeading, createGroupRunner } from "./group-runner.ts";
import type { GroupOptions } from "./group-runner.ts";
import type { Place } from "./line.ts";
import { createQueue } from "./queue.ts";

/** The one writer of a library: what waits together commits together. */
export interface Committer {
  /** Resolves once the transaction is durable. @throws what the plan or the database refuses */
  submit(submission: Submission): Promise<Receipt>;
  /** Runs something that must be alone with the database. */
  exclusive<Result>(run: () => Promise<Result>, place?: Place): Promise<Result>;
  /** Commits one submission from inside `exclusive`. */
  commitNow(submission: Submission): Promise<Receipt>;
  /** Resolves when everything that waits has been answered. */
  drained(): Promise<void>;
  readonly length: number;
}

/** Calls back with how to resolve and to reject, which its line hears too. */
function inLine<Result>(
  place: Place | undefined,
  begin: (resolve: (result: Result) => void, reject: (error: unknown) => void) => void,
): Promise<Result> {
  return new Promise((resolve, fail) => {
    const reject = (error: unknown): void => {
      place?.failed(error);
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- It passes on what it got.
      fail(error);
    };
    try {
      begin(resolve, reject);
    } catch (error) {
      reject(error);
    }
  });
}

export function createCommitter(options: GroupOptions): Committer {
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
  const enqueue = (one: Parameters<typeof queue.push>[0], place: Place | undefined): void => {
    place?.assertGoesOn();
    assertLeading(state, clock);
    queue.assertRoom("submission" in one ? one.submission.bytes : 0);
    queue.push(one);
    if (isRunning) return;
    isRunning = true;
    clock.defer(() => void run());
  };
  return {
    submit: (submission) =>
      inLine(submission.place, (resolve, reject) =>
        enqueue({ submission, since: clock.monotonic(), resolve, reject }, submission.place),
      ),
    exclusive: (work, place) =>
      inLine(place, (resolve, reject) => {
        const refuse = async (error: unknown): Promise<void> =>
          reject(guardOf(error) === "epoch" ? await groups.fenced() : error);
        const run = async (): Promise<void> => {
          try {
            place?.assertGoesOn();
            assertLeading(state, clock);
            resolve(await work());
          } catch (error) {
            await refuse(error).catch(reject);
          }
        };
        enqueue({ run }, place);
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
