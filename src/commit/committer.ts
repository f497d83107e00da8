import type { Clock } from "../base/clock.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { LibraryState } from "../lease/lease.ts";
import { mayWrite } from "../lease/lease.ts";
import type { CompiledResource } from "../resource/compile.ts";
import { guardOf, isRefused } from "../store/database.ts";
import type { Database } from "../store/database.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Receipt, Submission } from "./change.ts";
import { planGroup } from "./group.ts";
import type { GroupPlan, Planned } from "./group.ts";
import { loadSlots } from "./load.ts";
import { isAnsweredElsewhere, rememberRefusal, replayedReceipt } from "./mutation.ts";

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

export interface CommitterOptions {
  readonly database: Database;
  readonly state: LibraryState;
  readonly ordered: readonly CompiledResource[];
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** Called after the transaction is durable, in commit order. */
  readonly onCommitted: (plan: GroupPlan) => void;
  /** Called when the fence says that another epoch leads. */
  readonly onFenced: () => void;
}

interface Waiting {
  readonly submission: Submission;
  readonly since: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}
interface Alone {
  readonly run: () => Promise<void>;
}

/** Turns what the database refused into what the caller can mend. */
function toRefusal(error: unknown): SyncError {
  const message = error instanceof Error ? error.message : "";
  const columns = /UNIQUE constraint failed: ([\w., ]+)/.exec(message)?.[1];
  const path = columns?.split(",")[0]?.split(".").at(-1)?.trim() ?? "";
  const text =
    columns === undefined
      ? "The database refuses this record."
      : "Already in use by another record.";
  return new SyncError("invalid_record", { issues: [{ path, message: text }] }, { cause: error });
}

export function createCommitter(options: CommitterOptions): Committer {
  const { database, state, limits, clock, telemetry } = options;
  const queue: (Waiting | Alone)[] = [];
  const askedAgain = new WeakSet<Waiting>();
  let queueBytes = 0;
  let isRunning = false;
  let idle: PromiseWithResolvers<void> | null = null;

  const settle = async (waiting: readonly Waiting[], plan: GroupPlan): Promise<void> => {
    const answer = async (member: Planned, { submission }: Waiting): Promise<Receipt> => {
      if (member.kind === "fail") throw member.error;
      if (member.kind === "same") {
        const twin = plan.members[member.as];
        if (twin?.kind === "fail") throw twin.error;
        if (twin === undefined || !("receipt" in twin))
          throw new Error("Bug: a twin without a receipt");
        return { ...twin.receipt, replayed: true };
      }
      if (member.kind !== "replay") return member.receipt;
      const known = await loadSlots(database, [], [submission.mutationId ?? ""]);
      const [mutation] = known.mutations.values();
      if (mutation === undefined) throw new Error("Bug: a replayed mutation is not on record");
      return replayedReceipt(database, submission, mutation);
    };
    for (const [index, one] of waiting.entries()) {
      const member = plan.members[index];
      if (member === undefined) continue;
      telemetry.observe("commit_seconds", (clock.monotonic() - one.since) / 1_000);
      if (member.kind === "write" || member.kind === "unchanged") one.resolve(member.receipt);
      else await answer(member, one).then(one.resolve, one.reject);
    }
  };

  const assertLeading = (): void => {
    if (mayWrite(state, clock)) return;
    throw new SyncError("not_leader", { leaderUrl: state.leaderUrl, epoch: state.epoch });
  };

  /** After an error that says nothing about the write: did it happen? The database knows. */
  const isDurable = async (plan: GroupPlan): Promise<boolean> => {
    const [first] = plan.entries;
    if (first === undefined) return false;
    const [rows = []] = await database.read([
      { sql: "SELECT transaction_id FROM sync_log WHERE sequence = ?", args: [first.sequence] },
    ]);
    return rows[0]?.[0] === first.transactionId;
  };

  const fenced = async (): Promise<SyncError> => {
    const { epoch } = state;
    const [rows = []] = await database.read([{ sql: "SELECT epoch FROM library", args: [] }]);
    const currentEpoch = (rows[0]?.[0] as number | undefined) ?? epoch;
    options.onFenced();
    return new SyncError("stale_epoch", { epoch, currentEpoch });
  };

  const commitGroup = async (waiting: readonly Waiting[]): Promise<void> => {
    const submissions = waiting.map(({ submission }) => submission);
    const mutationIds = submissions.flatMap(({ mutationId }) => mutationId ?? []);
    // A group is one transaction of many requests: a child of the first, linked to the others.
    const [parent, ...links] = submissions.flatMap(({ author }) => author.span ?? []);
    const span = telemetry.span("commit.group", { size: waiting.length }, { parent, links });
    let plan: GroupPlan | null = null;
    try {
      const changes = submissions.flatMap((submission) => submission.changes);
      const known = await loadSlots(database, changes, mutationIds);
      plan = planGroup(submissions, known, { state, ordered: options.ordered, now: clock.now() });
      assertLeading();
      if (plan.statements.length > 0) await database.write(plan.statements);
      span.end();
    } catch (error) {
      span.end(error);
      if (plan === null || !(await isDurable(plan).catch(() => false))) {
        await fail(waiting, error);
        return;
      }
    }
    state.head += plan.entries.length;
    telemetry.observe("commit_group_size", waiting.length);
    telemetry.count("entries", plan.entries.length);
    const delivery = telemetry.span("commit.publish", { head: state.head }, { parent: span });
    options.onCommitted(plan);
    delivery.end();
    await settle(waiting, plan);
  };

  /** Another node has answered the same mutation: the next plan knows its answer. */
  const askAgain = async (one: Waiting, error: unknown): Promise<void> => {
    if (askedAgain.has(one)) {
      one.reject(error);
      return;
    }
    askedAgain.add(one);
    await commitGroup([one]);
  };

  const refuse = async (one: Waiting, refusal: SyncError): Promise<void> => {
    const statements = rememberRefusal(one.submission, refusal, clock.now());
    try {
      if (statements.length > 0) await database.write(statements);
      one.reject(refusal);
    } catch (error) {
      if (isAnsweredElsewhere(error)) await askAgain(one, error);
      else one.reject(error);
    }
  };

  const fail = async (waiting: readonly Waiting[], error: unknown): Promise<void> => {
    if (guardOf(error) === "epoch") {
      const refusal = await fenced().catch((cause: unknown) => cause);
      for (const { reject } of waiting) reject(refusal);
      return;
    }
    if (!isRefused(error)) {
      for (const { reject } of waiting) reject(error);
      return;
    }
    const [only] = waiting;
    if (waiting.length === 1 && only !== undefined) {
      if (isAnsweredElsewhere(error)) await askAgain(only, error);
      else await refuse(only, toRefusal(error));
      return;
    }
    // One member's constraint must not fail the others: halve until it stands alone.
    telemetry.count("group_splits");
    const middle = waiting.length >> 1;
    await commitGroup(waiting.slice(0, middle));
    await commitGroup(waiting.slice(middle));
  };

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

  const run = async (): Promise<void> => {
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      telemetry.gauge("commit_queue_length", queue.length);
      if ("run" in next) {
        queue.shift();
        await next.run();
      } else {
        await commitGroup(takeGroup());
      }
      // One turn of the loop lets requests that arrived during the write join the next group.
      await new Promise<void>((resolve) => clock.defer(resolve));
    }
    isRunning = false;
    idle?.resolve();
    idle = null;
  };
  const start = (): void => {
    if (isRunning) return;
    isRunning = true;
    clock.defer(() => void run());
  };

  const assertRoom = (bytes: number): void => {
    assertLeading();
    if (queue.length < limits.queueLength && queueBytes + bytes <= limits.queueBytes) return;
    throw new SyncError(
      "overloaded",
      { retryAfterSeconds: 1 },
      { detail: "The commit queue is full." },
    );
  };

  return {
    submit: (submission) =>
      new Promise((resolve, reject) => {
        assertRoom(submission.bytes);
        queueBytes += submission.bytes;
        queue.push({ submission, since: clock.monotonic(), resolve, reject });
        start();
      }),
    exclusive: (work) =>
      new Promise((resolve, reject) => {
        assertRoom(0);
        const refuse = async (error: unknown): Promise<void> =>
          reject(guardOf(error) === "epoch" ? await fenced() : error);
        const run = async (): Promise<void> => {
          try {
            assertLeading();
            resolve(await work());
          } catch (error) {
            await refuse(error).catch(reject);
          }
        };
        queue.push({ run });
        start();
      }),
    commitNow: (submission) =>
      new Promise((resolve, reject) => {
        const waiting = { submission, since: clock.monotonic(), resolve, reject };
        commitGroup([waiting]).catch(reject);
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
