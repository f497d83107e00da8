import type { InferOutput } from "valibot";
import { allowedTypes, requireAllTypes } from "../auth/capability.ts";
import { readAction } from "../commit/action.ts";
import { isRefusal } from "../commit/line.ts";
import { sendLine } from "../follower/line.ts";
import type { LineAnswer } from "../follower/line.ts";
import type { Follower } from "../follower/follower.ts";
import type { QueuedWrite } from "../follower/outbox.ts";
import { changeSchema, lineBatchSchema } from "../protocol/commit.ts";
import type { lineSchema } from "../protocol/commit.ts";
import { SyncError, errorTable, isSyncError, toProblem } from "../protocol/errors.ts";
import type { Service } from "../service.ts";
import { parse, toFailure } from "./context.ts";
import type { AppContext } from "./context.ts";
import { requireTypes } from "./mutation.ts";
import type { Writer } from "./mutation.ts";

export type Mutation = InferOutput<typeof lineSchema>["mutations"][number];

/** The answers in their order, up to the first that is not to be had now. @throws when that is the first */
export function toAnswers(
  c: AppContext,
  service: Service,
  results: readonly PromiseSettledResult<object>[],
) {
  const { pathname } = new URL(c.req.url);
  const answers: object[] = [];
  for (const result of results) {
    if (result.status === "fulfilled") {
      answers.push(result.value);
      continue;
    }
    const error: unknown = result.reason;
    if (!isRefusal(error) && answers.length === 0) throw error;
    const problem = toProblem(toFailure(c, service, error), pathname);
    if (!isRefusal(error)) return { answers, stopped: problem };
    answers.push({ problem });
  }
  return { answers };
}

/** What a leader would say of a mutation before it looks at the library; null when it would look. */
function refusalOf(writer: Writer, { commit, batch, action, input }: Mutation): SyncError | null {
  const { registry, capability, libraryId } = writer;
  try {
    if (action === undefined) {
      requireTypes(
        writer,
        batch === undefined ? [parse(changeSchema, commit)] : parse(lineBatchSchema, batch).changes,
      );
    } else if (allowedTypes(capability, libraryId, "writer") !== null) {
      readAction(registry, action, input);
      requireAllTypes(capability, { library: libraryId, role: "writer" });
    }
    return null;
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

/** A mutation of a line as it waits, under the path of its own route. */
function toQueued(mutation: Mutation, deviceId: string): QueuedWrite {
  const { commit, batch, action, input } = mutation;
  const mutationId = mutation.mutation_id;
  const [path, body] =
    action !== undefined
      ? [`actions/${action}`, { input }]
      : batch === undefined
        ? ["commit", parse(changeSchema, commit)]
        : ["batch", parse(lineBatchSchema, batch)];
  return { path, mutationId, deviceId, request: { ...body, mutation_id: mutationId } };
}

/** Out of reach, for a caller that did not ask for the write to wait. */
export function outOfReach(error: SyncError): SyncError {
  const detail = `${error.message} Try again, or send ?queue=1 to leave the write here.`;
  return new SyncError("overloaded", { retryAfterSeconds: 2 }, { cause: error, detail });
}

export interface HandedOn {
  readonly follower: Follower;
  readonly writer: Writer;
  readonly deviceId: string;
  /** What the leader cannot answer now is to wait here. */
  readonly mayWait: boolean;
}

/**
 * Refuses to send to a leader of another history, before a person has decided whether these writes are
 * its, and to one that would send them back. @throws overloaded
 */
export function assertMaySend(follower: Follower): void {
  const { status } = follower;
  if (status.maySend) return;
  // A circle may have been undone at its other end meanwhile.
  follower.wake();
  const detail = `Nothing is sent to the leader now. ${status.reason ?? ""}`;
  throw new SyncError("overloaded", { retryAfterSeconds: 5 }, { detail });
}

/** Sends what waits first, so that writes reach the leader in the order they were made. @throws overloaded */
export async function sendBacklog(follower: Follower): Promise<void> {
  assertMaySend(follower);
  await follower.outbox.drain();
}

/** Asks the leader, behind what waits for it already. */
async function ask(
  mutations: readonly Mutation[],
  { follower, deviceId, mayWait }: HandedOn,
): Promise<LineAnswer | Response> {
  if (mutations.length === 0) return { answers: [], error: null };
  try {
    await sendBacklog(follower);
    return await sendLine(follower.upstream, { deviceId, mutations });
  } catch (error) {
    if (!isSyncError(error)) throw error;
    return { answers: [], error: mayWait ? error : outOfReach(error) };
  } finally {
    follower.wake();
  }
}

/**
 * A line as a replica answers it: each mutation as the leader would. Resolves to the leader's response
 * when that refuses the line as a whole.
 */
export async function handLineOn(
  mutations: readonly Mutation[],
  to: HandedOn,
): Promise<PromiseSettledResult<object>[] | Response> {
  const { follower, writer, deviceId, mayWait } = to;
  const refusals = mutations.map((mutation) => refusalOf(writer, mutation));
  const open = mutations.filter((_, at) => refusals[at] === null);
  const said = await ask(open, to);
  if (said instanceof Response) return said;
  const { answers, error } = said;
  const isKept = mayWait && error !== null && errorTable[error.code].status >= 500;
  const left = isKept ? open.slice(answers.length).map((one) => toQueued(one, deviceId)) : [];
  const kept = left.length === 0 ? [] : await follower.outbox.add(left);
  const told = [
    ...answers,
    ...left.map(({ mutationId }, at) => {
      const problem = kept[at] ?? null;
      return problem === null ? { queued: true, mutation_id: mutationId } : { problem };
    }),
  ];
  let next = 0;
  return refusals.map((refusal): PromiseSettledResult<object> => {
    if (refusal !== null) return { status: "rejected", reason: refusal };
    const value = told[next++];
    return value === undefined
      ? { status: "rejected", reason: error }
      : { status: "fulfilled", value };
  });
}
