import { createId } from "../base/id.ts";
import { errorTable, isSyncError, toProblem, withIndex } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { ChangeRequest, Receipt } from "./change.ts";
import type { Committer } from "./committer.ts";
import { toChanges, toSubmission } from "./submission.ts";
import type { BatchContext } from "./submission.ts";

export interface ResilientReceipt extends Receipt {
  readonly failed: readonly BatchFailure[];
}

export interface BatchFailure {
  readonly index: number;
  readonly problem: Problem;
}

export interface ResilientOptions {
  readonly committer: Committer;
  readonly registry: Registry;
  readonly limits: Limits;
  readonly state: { readonly epoch: number };
}

interface Indexed {
  readonly request: ChangeRequest;
  readonly index: number;
}

interface Chunk {
  readonly receipt: Receipt | null;
  readonly failed: readonly BatchFailure[];
}

/** Commits what it can of one chunk: what is refused is taken out of it, and the rest asked for again. */
async function commitChunk(
  { committer, registry, limits }: ResilientOptions,
  chunk: readonly Indexed[],
  context: BatchContext,
): Promise<Chunk> {
  const failed: BatchFailure[] = [];
  let pending = chunk;
  while (pending.length > 0) {
    try {
      const requests = pending.map(({ request }) => request);
      const submission = toSubmission(toChanges(requests, registry, limits), pending, {
        operation: "Update",
        ...context,
      });
      return { receipt: await committer.submit({ ...submission, keepsRefusal: false }), failed };
    } catch (error) {
      const at = isSyncError(error) && "index" in error.facts ? error.facts.index : undefined;
      const culprit = pending.length === 1 ? pending[0] : pending[at ?? -1];
      if (!isSyncError(error) || culprit === undefined) throw error;
      // What may pass is nothing that a record did wrong.
      if (errorTable[error.code].retry !== "never") throw error;
      const { index } = culprit;
      failed.push({ index, problem: toProblem(withIndex(error, index)) });
      pending = pending.filter((one) => one.index !== index);
    }
  }
  return { receipt: null, failed };
}

/** Commits a batch in chunks, each its own transaction (TM-29). The mutation id is the first chunk's. */
export async function commitResilient(
  options: ResilientOptions,
  requests: readonly ChangeRequest[],
  context: BatchContext,
): Promise<ResilientReceipt> {
  const failed: BatchFailure[] = [];
  const resources: Receipt["resources"][number][] = [];
  let last: Receipt | null = null;
  let firstSequence: number | null = null;
  const indexed = requests.map((request, index) => ({ request, index }));
  const { resilientChunk } = options.limits;
  for (let start = 0; start < indexed.length; start += resilientChunk) {
    const mutationId = start === 0 ? (context.mutationId ?? null) : null;
    const chunk = indexed.slice(start, start + resilientChunk);
    const done = await commitChunk(options, chunk, { ...context, mutationId });
    failed.push(...done.failed);
    if (done.receipt === null) continue;
    last = done.receipt;
    firstSequence ??= last.firstSequence;
    resources.push(...last.resources);
  }
  return {
    ...(last ?? {
      epoch: options.state.epoch,
      transactionId: createId(),
      replayed: false,
      lastSequence: null,
    }),
    firstSequence,
    resources,
    failed,
  };
}
