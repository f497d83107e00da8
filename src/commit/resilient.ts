import { createId, deriveId } from "../base/id.ts";
import { SyncError, isSyncError, toProblem, withIndex } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { ChangeRequest, Receipt } from "./change.ts";
import type { Committer } from "./committer.ts";
import { isRefusal } from "./line.ts";
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
  readonly telemetry: Telemetry;
  readonly state: { readonly epoch: number };
}

interface Indexed {
  readonly request: ChangeRequest;
  readonly index: number;
}

/** What a chunk is asked for under: its mutation id, kept with what tells a replay of the whole batch. */
interface ChunkContext {
  readonly batch: BatchContext;
  readonly mutationId: string | null;
  readonly fingerprint: string;
}

interface Chunk {
  /** Null when nothing of it stands and nothing was to be remembered. */
  readonly receipt: Receipt | null;
  /** What is refused. */
  readonly failed: readonly BatchFailure[];
  /** The rest, and what it met; null when all of it is decided. */
  readonly late: { readonly error: unknown; readonly pending: readonly Indexed[] } | null;
}

const fail = (error: SyncError, { index }: Indexed): BatchFailure => ({
  index,
  problem: toProblem(withIndex(error, index)),
});

/** Commits what it can of one chunk: what is refused is taken out of it, and the rest asked for again. */
async function commitChunk(
  { committer, registry, limits }: ResilientOptions,
  chunk: readonly Indexed[],
  { batch, ...own }: ChunkContext,
): Promise<Chunk> {
  const failed: BatchFailure[] = [];
  let pending = chunk;
  while (pending.length > 0 || own.mutationId !== null) {
    try {
      const changes = toChanges(
        pending.map(({ request }) => request),
        registry,
        limits,
      );
      const context = { operation: "Update", ...batch, mutationId: null } as const;
      const submission = { ...toSubmission(changes, null, context), ...own, keepsRefusal: false };
      // Kept with the mutation id, so that a replay lists the same refusals.
      const output = failed.length === 0 ? undefined : failed;
      const receipt = await committer.submit({ ...submission, output });
      const kept = (receipt.output ?? []) as readonly BatchFailure[];
      return { receipt, failed: receipt.replayed ? kept : failed, late: null };
    } catch (error) {
      if (!isRefusal(error)) return { receipt: null, failed, late: { error, pending } };
      const at = "index" in error.facts ? error.facts.index : undefined;
      const culprit = pending.length === 1 ? pending[0] : pending[at ?? -1];
      if (culprit === undefined) return { receipt: null, failed, late: { error, pending } };
      failed.push(fail(error, culprit));
      pending = pending.filter((one) => one !== culprit);
    }
  }
  return { receipt: null, failed, late: null };
}

/** What all chunks together answer. */
function toReceipt(receipts: readonly Receipt[], epoch: number): Receipt {
  const written = receipts.filter(({ lastSequence }) => lastSequence !== null);
  const last = written.at(-1) ?? receipts.at(-1);
  return {
    firstSequence: written[0]?.firstSequence ?? null,
    lastSequence: last?.lastSequence ?? null,
    epoch: last?.epoch ?? epoch,
    transactionId: last?.transactionId ?? createId(),
    replayed: receipts.length > 0 && receipts.every(({ replayed }) => replayed),
    resources: receipts.flatMap(({ resources }) => resources),
  };
}

/** What a caller may know of a failure; one that nobody foresaw is for whoever reads the log. */
function toKnown({ telemetry }: ResilientOptions, error: unknown): SyncError {
  if (isSyncError(error)) return error;
  const requestId = createId();
  telemetry.log("error", "A chunk of a batch failed.", { request_id: requestId, error });
  return new SyncError("internal", { requestId });
}

/**
 * Commits a batch in chunks, each its own transaction (TM-29). Where one meets what may pass (the
 * database is away, the lease lost, the queue full) or a bug, the batch ends: it and those behind it
 * are listed with that problem, to be sent again; when nothing stands, the whole request fails with it.
 *
 * The first chunk's mutation id is the batch's, each other's follows from it. So the same batch sent
 * again under its id is replayed where it stands and goes on where it ended (I5).
 */
export async function commitResilient(
  options: ResilientOptions,
  requests: readonly ChangeRequest[],
  batch: BatchContext,
): Promise<ResilientReceipt> {
  const failed: BatchFailure[] = [];
  const receipts: Receipt[] = [];
  const indexed = requests.map((request, index) => ({ request, index }));
  const { fingerprint } = toSubmission([], requests, batch);
  const { mutationId: first = null } = batch;
  const { resilientChunk } = options.limits;
  for (let start = 0; start < indexed.length; start += resilientChunk) {
    const end = start + resilientChunk;
    const mutationId =
      start === 0 || first === null ? first : deriveId(`urn:syncline:mutation:${first}/${start}`);
    const chunk = indexed.slice(start, end);
    const done = await commitChunk(options, chunk, { batch, mutationId, fingerprint });
    failed.push(...done.failed);
    if (done.receipt !== null) receipts.push(done.receipt);
    const { late } = done;
    if (late === null) continue;
    if (receipts.every(({ resources }) => resources.length === 0)) throw late.error;
    const known = toKnown(options, late.error);
    failed.push(...[...late.pending, ...indexed.slice(end)].map((one) => fail(known, one)));
    break;
  }
  return { ...toReceipt(receipts, options.state.epoch), failed };
}
