import { createId, deriveId } from "../base/id.ts";
import { toKnown, toProblem, withIndex } from "../protocol/errors.ts";
import type { Problem, SyncError } from "../protocol/errors.ts";
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

/** What a transaction answers, and for which changes. */
interface Written {
  readonly receipt: Receipt;
  readonly changes: readonly Indexed[];
}

interface Chunk {
  /** None when nothing of it stands and nothing was to be remembered. */
  readonly written: readonly Written[];
  /** What is refused. */
  readonly failed: readonly BatchFailure[];
  /** The rest, and what it met; null when all of it is decided. */
  readonly late: { readonly error: unknown; readonly pending: readonly Indexed[] } | null;
}

/** A chunk that the database refuses, and does not say for which record: who is refused by name, and the rest. */
interface Unnamed {
  readonly failed: readonly BatchFailure[];
  readonly pending: readonly Indexed[];
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

type Submit = (part: readonly Indexed[], output?: Kept) => Promise<Receipt>;

function createSubmit(
  { committer, registry, limits }: ResilientOptions,
  { batch, ...own }: ChunkContext,
): Submit {
  return async (part, output) => {
    const requests = part.map(({ request }) => request);
    const asked = { operation: "Update", ...batch, mutationId: null } as const;
    const submission = toSubmission(toChanges(requests, registry, limits), null, asked);
    return committer.submit({ ...submission, ...own, keepsRefusal: false, output });
  };
}

/** What a chunk did when it was sent before: it stands, or was halved. */
function toReplayed(receipt: Receipt, chunk: readonly Indexed[]): Chunk | Unnamed {
  const { failed = [], isHalved = false } = (receipt.output ?? {}) as Kept;
  const pending = chunk.filter(({ index }) => !failed.some((one) => one.index === index));
  if (isHalved) return { failed, pending };
  return { written: [{ receipt, changes: pending }], failed, late: null };
}

/**
 * Commits a chunk as one transaction: who is refused by name is taken out of it, and the rest asked
 * for again.
 */
async function commitTogether(
  submit: Submit,
  chunk: readonly Indexed[],
  context: ChunkContext,
): Promise<Chunk | Unnamed> {
  const failed: BatchFailure[] = [];
  let pending = chunk;
  while (pending.length > 0 || context.mutationId !== null) {
    try {
      // Kept with the mutation id, so that a replay lists the same refusals.
      const receipt = await submit(pending, failed.length === 0 ? undefined : { failed });
      if (receipt.replayed) return toReplayed(receipt, chunk);
      return { written: [{ receipt, changes: pending }], failed, late: null };
    } catch (error) {
      const late = { written: [], failed, late: { error, pending } };
      if (!isRefusal(error)) return late;
      const at = "index" in error.facts ? error.facts.index : undefined;
      const culprit = pending.length === 1 ? pending[0] : pending[at ?? -1];
      if (culprit === undefined)
        return ["invalid_record", "body_too_large"].includes(error.code)
          ? { failed, pending }
          : late;
      failed.push(fail(error, culprit));
      pending = pending.filter((one) => one !== culprit);
    }
  }
  return { written: [], failed, late: null };
}

/** Commits what it can of one chunk: together, else in halves until each record that is refused stands alone. */
async function commitChunk(
  options: ResilientOptions,
  chunk: readonly Indexed[],
  context: ChunkContext,
): Promise<Chunk> {
  const submit = createSubmit(options, context);
  const first = await commitTogether(submit, chunk, context);
  if ("late" in first) return first;
  const { failed, pending } = first;
  if (context.mutationId === null) return commitHalves(options, first, context);
  try {
    // On record first: sent again under its id it must be halved again, whatever stands by then.
    await submit([], { failed, isHalved: true });
  } catch (error) {
    return { written: [], failed, late: { error, pending } };
  }
  const onRecord = await commitTogether(submit, chunk, context);
  return "late" in onRecord ? onRecord : commitHalves(options, onRecord, context);
}

/** Commits two halves of what is left of a chunk, each as a chunk. */
async function commitHalves(
  options: ResilientOptions,
  { failed, pending }: Unnamed,
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
    written: [...first.written, ...second.written],
    failed: [...all, ...second.failed],
    late: second.late,
  };
}

/**
 * The order in which chunks and halves take changes: parents are written before what needs them, and
 * deleted after it, as within one transaction. Deletions pass no writes, nor writes them.
 */
function inWriteOrder(changes: readonly Indexed[], { resources }: Registry): Indexed[] {
  const rank = new Map(resources.map(({ type }, at) => [type, at]));
  let run = 0;
  const placed = changes.map((change, at) => {
    const isDelete = change.request.operation === "delete";
    const before = changes[at - 1]?.request.operation ?? change.request.operation;
    if ((before === "delete") !== isDelete) run += 1;
    const place = rank.get(change.request.resource_type) ?? 0;
    return { change, run, place: isDelete ? -place : place };
  });
  return placed
    .toSorted((one, other) => one.run - other.run || one.place - other.place)
    .map(({ change }) => change);
}

/** What all chunks together answer, in the order of the request. */
function toReceipt(all: readonly Written[], epoch: number): Receipt {
  const receipts = all.map(({ receipt }) => receipt);
  const written = receipts.filter(({ lastSequence }) => lastSequence !== null);
  const last = written.at(-1) ?? receipts.at(-1);
  const resources = all.flatMap(({ receipt, changes }) =>
    changes.map(({ index }, at) => ({ index, resource: receipt.resources[at] ?? null })),
  );
  return {
    firstSequence: written[0]?.firstSequence ?? null,
    lastSequence: last?.lastSequence ?? null,
    epoch: last?.epoch ?? epoch,
    transactionId: last?.transactionId ?? createId(),
    replayed: receipts.length > 0 && receipts.every(({ replayed }) => replayed),
    resources: resources
      .toSorted((one, other) => one.index - other.index)
      .map(({ resource }) => resource),
  };
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
  const written: Written[] = [];
  const asked = requests.map((request, index) => ({ request, index }));
  const indexed = inWriteOrder(asked, options.registry);
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
    written.push(...done.written);
    const { late } = done;
    if (late === null) continue;
    if (written.every(({ changes }) => changes.length === 0)) throw late.error;
    const told = { message: "A chunk of a batch failed.", requestId: createId() };
    const known = toKnown(late.error, options.telemetry, told);
    failed.push(...[...late.pending, ...indexed.slice(end)].map((one) => fail(known, one)));
    break;
  }
  return { ...toReceipt(written, options.state.epoch), failed };
}
