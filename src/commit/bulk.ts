import { SyncError, isSyncError, withIndex } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { during } from "../telemetry/telemetry.ts";
import type { Span, Telemetry } from "../telemetry/telemetry.ts";
import { nameOf, writeChunk } from "./bulk-chunk.ts";
import type { Numbered } from "./bulk-chunk.ts";
import { finishBulk } from "./bulk-finish.ts";
import type { FinishOptions } from "./bulk-finish.ts";
import { createBulkProgress } from "./bulk-progress.ts";
import type { ProgressOptions } from "./bulk-progress.ts";
import { findOperation, listRunning, saveOperation, toReceipt } from "./bulk-operation.ts";
import type { BulkOperation, BulkReceipt } from "./bulk-operation.ts";
import type { BulkRequest } from "./bulk-request.ts";
import type { Committer } from "./committer.ts";

/** Writes streams of records, chunk by chunk, and leaves one entry (BULK-01). */
export interface Bulk {
  run(request: BulkRequest): Promise<BulkReceipt>;
  find(token: string): Promise<BulkReceipt | null>;
  /** Announces what a node left unfinished when it died, with the true count. */
  closeInterrupted(): Promise<void>;
}

export interface BulkOptions extends FinishOptions, ProgressOptions {
  readonly committer: Committer;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

/** The token stands for another bulk than what is sent under it now. */
function otherBulk(mutationId: string, detail: string): SyncError {
  return new SyncError("mutation_reused", { mutationId }, { detail });
}

/** The operation as it stands, ready to go on; or what completed. @throws mutation_reused */
function resume(request: BulkRequest, known: BulkOperation | null): BulkOperation {
  const { token, resource, mode, author } = request;
  if (known !== null && (known.resourceType !== resource.type || known.mode !== mode)) {
    const what = `bulk ${known.mode} of ${known.resourceType}`;
    throw otherBulk(token, `The token ${token} belongs to a ${what}; another needs another.`);
  }
  return (
    known ?? {
      token,
      resourceType: resource.type,
      mode,
      state: "running",
      deviceId: author.deviceId,
      hints: JSON.stringify(request.hints),
      firstRecordId: null,
      lastRecordId: null,
      receivedCount: 0,
      affectedCount: 0,
      failedCount: 0,
      sequence: null,
      failures: [],
    }
  );
}

/** What goes into one transaction. */
interface Chunk {
  readonly records: readonly Numbered[];
  /** More may come. */
  readonly isFull: boolean;
}

/** The records that are not stored yet, chunk by chunk. @throws mutation_reused for another body */
async function* toChunks(
  request: BulkRequest,
  { receivedCount, firstRecordId, lastRecordId }: BulkOperation,
  { bulkChunk, bulkChunkBytes }: Limits,
): AsyncGenerator<Chunk> {
  // The same body again: what is stored is passed over. A body that begins elsewhere continues.
  let toSkip = receivedCount;
  let index = 0;
  let records: Numbered[] = [];
  let chunkBytes = 0;
  const take = (isFull: boolean): Chunk => {
    const chunk = { records, isFull };
    records = [];
    chunkBytes = 0;
    return chunk;
  };
  try {
    for await (const arrived of request.arrivals) {
      for (const record of arrived.records) {
        if (index === 0 && toSkip > 0 && nameOf(record) !== firstRecordId) {
          index = toSkip;
          toSkip = 0;
        }
        if (index >= toSkip) records.push({ index, record });
        else if (index === toSkip - 1 && lastRecordId !== null && nameOf(record) !== lastRecordId)
          throw otherBulk(
            request.token,
            `Record ${index} is another than before under that token.`,
          );
        index += 1;
        if (records.length === bulkChunk) yield take(true);
      }
      chunkBytes += arrived.bytes;
      if (chunkBytes >= bulkChunkBytes && records.length > 0) yield take(true);
    }
  } catch (error) {
    if (!isSyncError(error, "invalid_record")) throw error;
    // Nothing behind it can be read. What came before it is written first.
    if (records.length > 0) yield take(false);
    throw withIndex(error, index);
  }
  if (index > 0 && index < toSkip)
    throw otherBulk(request.token, `Only ${index} of the ${toSkip} records before come again.`);
  if (records.length > 0) yield take(false);
}

/** Writes the operation's entry, alone with the database; what it announces belongs to the span. */
function finish(
  options: BulkOptions,
  operation: BulkOperation,
  end: { readonly outcome: "complete" | "interrupted"; readonly span?: Span },
): Promise<void> {
  const onCommitted: FinishOptions["onCommitted"] = (committed) =>
    options.onCommitted(committed, end.span);
  return options.committer.exclusive(() =>
    finishBulk({ ...options, onCommitted }, operation, end.outcome),
  );
}

/** Writes what is not stored yet, and ends the operation whatever happens. */
async function write(
  options: BulkOptions,
  request: BulkRequest,
  { operation, span }: { readonly operation: BulkOperation; readonly span: Span },
): Promise<BulkReceipt> {
  const { database, committer, clock, limits, telemetry } = options;
  operation.state = "running";
  const progress = createBulkProgress(options, operation);
  try {
    await committer.exclusive(() => database.write([saveOperation(operation, clock.now())]));
    for await (const { records: chunk, isFull } of toChunks(request, operation, limits)) {
      const work = { operation, chunk };
      const about = { size: chunk.length };
      const stopped = await during(
        telemetry.span("commit.bulk_chunk", about, { parent: span }),
        () => committer.exclusive(() => writeChunk(options, request, work)),
      );
      if (stopped !== null) {
        await finish(options, operation, { outcome: "interrupted", span });
        throw stopped;
      }
      if (isFull) progress.moved();
    }
    await finish(options, operation, { outcome: "complete", span });
    span.set({ affected_count: operation.affectedCount });
    return toReceipt(operation, false);
  } catch (error) {
    if (operation.state === "running") {
      await finish(options, operation, { outcome: "interrupted", span }).catch(() => {});
    }
    throw error;
  } finally {
    progress.ended();
  }
}

export function createBulk(options: BulkOptions): Bulk {
  const { database, telemetry } = options;
  const running = new Set<string>();
  return {
    find: async (token) => {
      const operation = await findOperation(database, token);
      return operation === null ? null : toReceipt(operation, false);
    },
    run: async (request) => {
      const { token } = request;
      const operation = resume(request, await findOperation(database, token));
      if (operation.state === "complete") return toReceipt(operation, true);
      if (running.has(token)) {
        const detail = "This bulk operation is running; ask for its state, or try again.";
        throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
      }
      running.add(token);
      const what = { type: request.resource.type, mode: request.mode };
      const span = telemetry.span("commit.bulk", what, { parent: request.author.span });
      return during(span, () => write(options, request, { operation, span })).finally(() =>
        running.delete(token),
      );
    },
    closeInterrupted: async () => {
      for (const operation of await listRunning(database)) {
        // What still runs here goes on under the new epoch.
        if (!running.has(operation.token))
          await finish(options, operation, { outcome: "interrupted" });
      }
    },
  };
}
