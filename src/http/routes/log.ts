import { Hono } from "hono";
import type { Library } from "../../library/library.ts";
import { readEntries } from "../../log/read-entries.ts";
import { BULK_MODEL_TYPE, selectExtent, selectRange } from "../../log/sync-log.ts";
import type { LogEntry } from "../../log/sync-log.ts";
import type { Service } from "../../service.ts";
import { answer } from "../body.ts";
import {
  authenticate,
  historyChanged,
  isBeyondHead,
  isOtherHistory,
  openFor,
  readInteger,
  readLimit,
  visibleTypes,
} from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

function toWireEntry(entry: LogEntry) {
  return {
    sequence: entry.sequence,
    epoch: entry.epoch,
    transaction_id: entry.transactionId,
    device_id: entry.deviceId,
    mutation_id: entry.mutationId,
    timestamp: new Date(entry.timestampMs).toISOString(),
    domain: entry.domain,
    model_type: entry.modelType,
    record_id: entry.recordId,
    change_type: entry.changeType,
    version: entry.version,
    operation: entry.operation,
    data: entry.data,
  };
}

/** Whole transactions only (GAP-20); bounded by count and by bytes, but for the last transaction. */
async function readPage(
  library: Library,
  after: number,
  page: { readonly entries: number; readonly bytes: number },
): Promise<LogEntry[]> {
  const [extent = []] = await library.database.readNear([selectExtent(after, page)]);
  const end = (extent[0]?.[0] as number | null | undefined) ?? Number.MAX_SAFE_INTEGER;
  return readEntries(library.database.readNear, selectRange(after + 1, end), {
    after,
    log: library.state,
  });
}

async function readLog(c: AppContext, service: Service): Promise<Response> {
  await authenticate(c, service);
  const library = await openFor(c, service, { role: "reader" });
  const after = readInteger(c.req.query("after") ?? "0", "after");
  if (isOtherHistory(c, library) || (await isBeyondHead(library, after))) {
    throw historyChanged(library);
  }
  return library.database.turn(() => answerPage(c, service, { library, after }));
}

async function answerPage(
  c: AppContext,
  service: Service,
  { library, after }: { readonly library: Library; readonly after: number },
): Promise<Response> {
  const { state } = library;
  const { limits } = service;
  const entries = await readPage(library, after, {
    entries: readLimit(c, service),
    bytes: limits.pageBytes,
  });
  const end = entries.at(-1)?.sequence ?? after;
  const types = visibleTypes(c, service, state.id);
  const typeOf = (entry: LogEntry) =>
    entry.modelType === BULK_MODEL_TYPE ? String(entry.data?.["model"]) : entry.modelType;
  return answer(c.req.raw, {
    entries: entries.filter((entry) => types?.has(typeOf(entry)) ?? true).map(toWireEntry),
    has_more: end < state.head,
    next_after: end,
    head: Math.max(end, state.head),
    oldest_sequence: state.oldestSequence,
    epoch: state.epoch,
    history_id: state.historyId,
  });
}

/** The sync log, for who pulls. */
export function logRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/v1/libraries/:library/log", (c) => readLog(c, service));
}
