import type { Clock } from "../base/clock.ts";
import { mayWrite } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { CompiledResource } from "../resource/compile.ts";
import { guardOf, isRefused } from "../store/failure.ts";
import type { Database } from "../store/database.ts";
import type { Span, Telemetry } from "../telemetry/telemetry.ts";
import { planGroup } from "./group.ts";
import type { GroupPlan } from "./group.ts";
import type { Change } from "./change.ts";
import { loadSlots } from "./load.ts";
import type { Known } from "./load.ts";
import { isAnsweredElsewhere, rememberRefusal } from "./mutation.ts";
import { slotKey } from "./plan.ts";
import type { Waiting } from "./queue.ts";
import { toRefusal } from "./refusal.ts";
import { isDurable, settle } from "./settle.ts";

export interface GroupOptions {
  readonly database: Database;
  readonly state: LibraryState;
  readonly ordered: readonly CompiledResource[];
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly limits: Limits;
  /** Called after the transaction is durable, in commit order, with the span of its group. */
  readonly onCommitted: (plan: GroupPlan, span: Span) => void;
  /** Called when the fence says that another epoch leads. */
  readonly onFenced: () => void;
}

/** Commits groups, one transaction each, and answers everyone in them. */
export interface GroupRunner {
  /** Never rejects: what fails is the answer of those who wait. */
  run(waiting: readonly Waiting[]): Promise<void>;
  /** What to tell whom the fence refused; tells the lease too. */
  fenced(): Promise<SyncError>;
}

/** @throws not_leader when the lease has ended by our own clock; overloaded where a copy is being promoted */
export function assertLeading(state: LibraryState, clock: Clock): void {
  if (mayWrite(state, clock)) return;
  if (state.isReplica) {
    // The leader that it names is the one it is leaving.
    const detail = "This library follows a leader no more, and does not lead yet.";
    throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  }
  throw new SyncError("not_leader", { leaderUrl: state.leaderUrl, epoch: state.epoch });
}

async function askEpoch({ database, state, onFenced }: GroupOptions): Promise<SyncError> {
  const { epoch } = state;
  const [rows = []] = await database.readPrimary([{ sql: "SELECT epoch FROM library", args: [] }]);
  const currentEpoch = (rows[0]?.[0] as number | undefined) ?? epoch;
  onFenced();
  return new SyncError("stale_epoch", { epoch, currentEpoch });
}

/** Changes that were made against an older version than stands: what the conflict rules decide. */
function countLate({ slots }: Known, changes: readonly Change[]): number {
  const isLate = ({ resource, id, expectedVersion }: Change): boolean =>
    Number(slots.get(slotKey(resource.type, id))?.row?.["version"] ?? 0) >
    (expectedVersion ?? Infinity);
  return changes.filter(isLate).length;
}

/** Reads, plans and writes one group. Throws when it is not durable. */
async function commitPlan(options: GroupOptions, waiting: readonly Waiting[]): Promise<GroupPlan> {
  const { database, state, clock, telemetry, ordered } = options;
  const submissions = waiting.map(({ submission }) => submission);
  const mutationIds = submissions.flatMap(({ mutationId }) => mutationId ?? []);
  // A group is one transaction of many requests: a child of the first, linked to the others.
  const [parent, ...links] = submissions.flatMap(({ author }) => author.span ?? []);
  const span = telemetry.span("commit.group", { size: waiting.length }, { parent, links });
  const timing = telemetry.time("commit.group");
  let plan: GroupPlan | null = null;
  try {
    const changes = submissions.flatMap((submission) => submission.changes);
    const { transactionBytes: limitBytes } = options.limits;
    const known = await loadSlots(database.readPrimary, changes, { mutationIds, limitBytes });
    timing?.mark("read");
    plan = planGroup(submissions, known, { state, ordered, now: clock.now() });
    timing?.mark("plan");
    assertLeading(state, clock);
    if (plan.statements.length > 0) await database.write(plan.statements);
    span.end();
    timing?.mark("write");
    timing?.end({
      library_id: state.id,
      epoch: state.epoch,
      commits: waiting.length,
      changes: changes.length,
      late: countLate(known, changes),
      conflicts: plan.conflicts.length,
      refused: plan.members.filter(({ kind }) => kind === "fail").length,
      entries: plan.entries.length,
    });
  } catch (error) {
    span.end(error);
    if (plan === null || !(await isDurable(plan, database).catch(() => false))) throw error;
  }
  state.head += plan.entries.length;
  telemetry.observe("commit_group_size", waiting.length);
  telemetry.count("entries", plan.entries.length);
  options.onCommitted(plan, span);
  return plan;
}

export function createGroupRunner(options: GroupOptions): GroupRunner {
  const { database, clock, telemetry } = options;
  const askedAgain = new WeakSet<Waiting>();
  const fenced = () => askEpoch(options);

  const run = async (waiting: readonly Waiting[]): Promise<void> => {
    let plan: GroupPlan;
    try {
      plan = await commitPlan(options, waiting);
    } catch (error) {
      await fail(waiting, error);
      return;
    }
    const now = clock.monotonic();
    for (const { since } of waiting) telemetry.observe("commit_seconds", (now - since) / 1_000);
    await settle(waiting, plan, database);
  };

  /** Another node has answered the same mutation: the next plan knows its answer. */
  const askAgain = async (one: Waiting, error: unknown): Promise<void> => {
    if (askedAgain.has(one)) {
      one.reject(error);
      return;
    }
    askedAgain.add(one);
    await run([one]);
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
    // Too much for one transaction, which may be the others' doing.
    const isTooMuch = isSyncError(error, "body_too_large") && waiting.length > 1;
    if (!isRefused(error) && !isTooMuch) {
      for (const { reject } of waiting) reject(error);
      return;
    }
    const [only] = waiting;
    if (waiting.length === 1 && only !== undefined) {
      if (isAnsweredElsewhere(error)) await askAgain(only, error);
      else await refuse(only, await toRefusal(error, only.submission, database));
      return;
    }
    // What one member meets must not fail the others: halve until it stands alone.
    telemetry.count("group_splits");
    const middle = waiting.length >> 1;
    await run(waiting.slice(0, middle));
    await run(waiting.slice(middle));
  };

  return { run, fenced };
}
