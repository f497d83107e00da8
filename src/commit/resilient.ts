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
  /** None when nothing of it stands and nothing was to be remembered. */
  readonly receipts: readonly Receipt[];
  /** What is refused. */
  readonly failed: readonly BatchFailure[];
  /** The rest, and what it met; null when all of it is decided. */
  readonly late: { readonly error: unknown; readonly pending: readonly Indexed[] } | null;
}

const fail = (error: SyncError, { index }: Indexed): BatchFailure => ({
  index,
  problem: toProblem(withIndex(error, index)),
});

/** What is kept with the mutation id of a chunk: who was refused, and whether the rest was halved. */
interface Kept {
  readonly failed?: readonly BatchFailure[];
  readonly isHalved?: boolean;
}

/**
 * Commits what it can of one chunk: what is refused is taken out of it, and the rest asked for again.
 * Where the database refuses it and does not say which record it means, it is halved.
 */
async function commitChunk(
  options: ResilientOptions,
  chunk: readonly Indexed[],
  context: ChunkContext,
): Promise<Chunk> {
  const { committer, registry, limits } = options;
  const { batch, ...own } = context;
  const submit = (part: readonly Indexed[], output: Kept | undefined): Promise<Receipt> => {
    const changes = toChanges(
      part.map(({ request }) => request),
      registry,
      limits,
    );
    const asked = { operation: "Update", ...batch, mutationId: null } as const;
    const submission = { ...toSubmission(changes, null, asked), ...own, keepsRefusal: false };
    return committer.submit({ ...submission, output });
  };
  const failed: BatchFailure[] = [];
  let pending = chunk;
  let isHalved = false;
  while (pending.length > 0 || own.mutationId !== null) {
    try {
      if (isHalved && own.mutationId === null) {
        return await commitHalves(options, { failed, pending }, context);
      }
      // On record first: sent again under its id it must be halved again, whatever stands by then.
      if (isHalved) await submit([], { failed, isHalved });
      // Kept with the mutation id, so that a replay lists the same refusals.
      const receipt = await submit(pending, failed.length === 0 ? undefined : { failed });
      if (!receipt.replayed) return { receipts: [receipt], failed, late: null };
      const kept = (receipt.output ?? {}) as Kept;
      const was = { failed: kept.failed ?? [], pending: without(chunk, kept.failed ?? []) };
      if (kept.isHalved === true) return await commitHalves(options, was, context);
      return { receipts: [receipt], failed: was.failed, late: null };
    } catch (error) {
      const late = { receipts: [], failed, late: { error, pending } };
      if (!isRefusal(error)) return late;
      const at = "index" in error.facts ? error.facts.index : undefined;
      const culprit = pending.length === 1 ? pending[0] : pending[at ?? -1];
      if (culprit === undefined && (isHalved || error.code !== "invalid_record")) return late;
      isHalved = culprit === undefined;
      if (culprit === undefined) continue;
      failed.push(fail(error, culprit));
      pending = pending.filter((one) => one !== culprit);
    }
  }
  return { receipts: [], failed, late: null };
}

const without = (chunk: readonly Indexed[], failed: readonly BatchFailure[]): Indexed[] =>
  chunk.filter(({ index }) => !failed.some((one) => one.index === index));

/** Commits two halves of what is left of a chunk, each as a chunk. */
async function commitHalves(
  options: ResilientOptions,
  {
    failed,
    pending,
  }: { readonly failed: readonly BatchFailure[]; readonly pending: readonly Indexed[] },
  context: ChunkContext,
): Promise<Chunk> {
  const { mutationId } = context;
  const idOf = (place: number): string | null =>
    mutationId === null ? null : deriveId(`urn:syncline:mutation:${mutationId}/half/${place}`);
  const [left, right] = [pending.slice(0, pending.length >> 1), pending.slice(pending.length >> 1)];
  const first = await commitChunk(options, left, { ...context, mutationId: idOf(0) });
  const all = [...failed, ...first.failed];
  if (first.late !== null) {
    const late = { ...first.late, pending: [...first.late.pending, ...right] };
    return { ...first, failed: all, late };
  }
  const second = await commitChunk(options, right, { ...context, mutationId: idOf(1) });
  return {
    receipts: [...first.receipts, ...second.receipts],
    failed: [...all, ...second.failed],
    late: second.late,
  };
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
    receipts.push(...done.receipts);
    const { late } = done;
    if (late === null) continue;
    if (receipts.every(({ resources }) => resources.length === 0)) throw late.error;
    const known = toKnown(options, late.error);
    failed.push(...[...late.pending, ...indexed.slice(end)].map((one) => fail(known, one)));
    break;
  }
  return { ...toReceipt(receipts, options.state.epoch), failed };
}
