import { Hono } from "hono";
import { allows, requireGrant } from "../../auth/capability.ts";
import { renameKeys, toCamelCase } from "../../base/case.ts";
import { createId } from "../../base/id.ts";
import { validateInput } from "../../commit/validate.ts";
import { BULK_MODEL_TYPE, decodeEntries, selectAfter } from "../../log/sync-log.ts";
import type { LogEntry } from "../../log/sync-log.ts";
import { querySchema } from "../../protocol/commit.ts";
import { SyncError } from "../../protocol/errors.ts";
import type { WireResource } from "../../protocol/errors.ts";
import { decodeRow } from "../../resource/compile.ts";
import type { CompiledResource } from "../../resource/compile.ts";
import type { AnyQuery } from "../../resource/define.ts";
import type { Library } from "../../library/library.ts";
import type { Service } from "../../service.ts";
import { renderRows } from "../../stream/render.ts";
import { answer, readBody } from "../body.ts";
import { authenticate, openFor, parse, readInteger, readLimit, visibleTypes } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

async function fetchByIds(library: Library, resource: CompiledResource, ids: readonly string[]) {
  const [rows = []] = await library.database.read([
    { sql: resource.sql.selectByIds, args: [JSON.stringify(ids)] },
  ]);
  const decoded = rows.map(([json]) => decodeRow(resource, json as string));
  return renderRows(resource, decoded, library.reader);
}

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

/** Whole transactions only: a page that would end inside one is prolonged to its end (GAP-20). */
async function readPage(library: Library, after: number, limit: number): Promise<LogEntry[]> {
  const [rows = []] = await library.database.read([selectAfter(after, limit)]);
  const entries = decodeEntries(rows);
  for (let last = entries.at(-1); last !== undefined && entries.length >= limit;) {
    const [more = []] = await library.database.read([selectAfter(last.sequence, 1_000)]);
    const rest = decodeEntries(more);
    const same = rest.findIndex((entry) => entry.transactionId !== last?.transactionId);
    entries.push(...(same === -1 ? rest : rest.slice(0, same)));
    if (same !== -1 || rest.length === 0) break;
    last = rest.at(-1);
  }
  return entries;
}

async function readLog(c: AppContext, service: Service): Promise<Response> {
  await authenticate(c, service);
  const library = await openFor(c, service, { role: "reader" });
  const { state } = library;
  const after = readInteger(c.req.query("after") ?? "0", "after");
  const asked = c.req.query("history_id");
  if (after > state.head || (asked !== undefined && asked !== state.historyId)) {
    throw new SyncError("history_changed", { historyId: state.historyId, head: state.head });
  }
  if (after < state.oldestSequence - 1) {
    throw new SyncError("cursor_expired", {
      oldestSequence: state.oldestSequence,
      head: state.head,
    });
  }
  const entries = await readPage(library, after, readLimit(c, service));
  const types = visibleTypes(c, service, state.id);
  const typeOf = (entry: LogEntry) =>
    entry.modelType === BULK_MODEL_TYPE ? String(entry.data?.["model"]) : entry.modelType;
  return answer(c.req.raw, {
    entries: entries.filter((entry) => types?.has(typeOf(entry)) ?? true).map(toWireEntry),
    has_more: (entries.at(-1)?.sequence ?? after) < state.head,
    next_after: entries.at(-1)?.sequence ?? after,
    head: state.head,
    oldest_sequence: state.oldestSequence,
    epoch: state.epoch,
    history_id: state.historyId,
  });
}

function readInput(c: AppContext): unknown {
  const text = c.req.query("input");
  if (text === undefined) return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    const issues = [{ path: "input", message: "Not valid JSON." }];
    throw new SyncError("invalid_body", { issues }, { cause });
  }
}

/** The records that a query's own records name, for whoever may see their types. */
async function fetchRelated(
  c: AppContext,
  service: Service,
  answered: { library: Library; query: AnyQuery; found: readonly WireResource[] },
): Promise<Record<string, WireResource[]>> {
  const { library, query, found } = answered;
  const related: Record<string, WireResource[]> = {};
  const records = found.map((one) => renameKeys({ ...one }, toCamelCase));
  for (const [type, idOf] of Object.entries(query.related ?? {})) {
    const need = { library: library.state.id, role: "reader", type } as const;
    if (records.length === 0 || !allows(c.get("capability"), need)) continue;
    const ids = new Set(records.map(idOf).filter((id) => typeof id === "string"));
    related[type] = await fetchByIds(library, service.registry.resource(type), [...ids]);
  }
  return related;
}

async function runQuery(c: AppContext, service: Service, given: unknown): Promise<Response> {
  const { registry, clock, telemetry } = service;
  const name = c.req.param("name") ?? "";
  const library = await openFor(c, service, { role: "reader" });
  const query = registry.queries.get(name);
  if (query === undefined) {
    throw new SyncError("not_found", { what: name }, { detail: `There is no query "${name}".` });
  }
  const type = query.returns as string | null;
  if (type !== null)
    requireGrant(c.get("capability"), { library: library.state.id, role: "reader", type });
  const started = clock.monotonic();
  const input: unknown = validateInput(query.input, given ?? {});
  // The sequence is read first: an answer may be newer than it says, never older.
  const sequence = library.state.head;
  const data = await query.resolve(library.reader, input);
  const found =
    type === null ? [] : await fetchByIds(library, registry.resource(type), data as string[]);
  const related = await fetchRelated(c, service, { library, query, found });
  const elapsed = clock.monotonic() - started;
  telemetry.observe("query_seconds", elapsed / 1_000, { query: name });
  const known = new Set(found.map(({ id }) => id));
  const ids = type === null ? data : (data as string[]).filter((id) => known.has(id));
  return answer(c.req.raw, {
    data: ids,
    included: type === null ? {} : { [type]: found, ...related },
    cache: {
      resources: type === null ? {} : { [type]: ids },
      scopes: query.scopes?.(input) ?? [],
      ttl_seconds: query.ttl ?? 300,
      invalidation:
        type === null ? "manual" : { on_resource_change: [type, ...(query.dependsOn ?? [])] },
    },
    meta: { sequence, execution_time_ms: Math.round(elapsed * 100) / 100, query_id: createId() },
  });
}

/** Resources, queries, the log, mutation fate and checksums. */
export function readRoutes(service: Service): Hono<AppEnv> {
  const { registry, limits } = service;
  return new Hono<AppEnv>()
    .get("/v1/libraries/:library/resources/:type/:id", async (c) => {
      await authenticate(c, service);
      const resource = registry.resource(c.req.param("type"));
      const library = await openFor(c, service, { role: "reader", type: resource.type });
      const [found] = await fetchByIds(library, resource, [c.req.param("id").toLowerCase()]);
      if (found === undefined) {
        const what = `${resource.type} ${c.req.param("id")}`;
        throw new SyncError("not_found", { what }, { detail: `There is no ${what}.` });
      }
      return answer(c.req.raw, found, { headers: { etag: `"${found.version}"` } });
    })
    .get("/v1/libraries/:library/resources/:type", async (c) => {
      await authenticate(c, service);
      const resource = registry.resource(c.req.param("type"));
      const library = await openFor(c, service, { role: "reader", type: resource.type });
      const limit = readLimit(c, service);
      const sequence = library.state.head;
      const [rows = []] = await library.database.read([
        { sql: resource.sql.page, args: [c.req.query("after") ?? "", limit] },
      ]);
      const decoded = rows.map(([json]) => decodeRow(resource, json as string));
      const resources: readonly WireResource[] = await renderRows(
        resource,
        decoded,
        library.reader,
      );
      const next_cursor = resources.length < limit ? null : (resources.at(-1)?.id ?? null);
      return answer(c.req.raw, { resources, next_cursor, sequence });
    })
    .post("/v1/libraries/:library/query/:name", async (c) => {
      await authenticate(c, service);
      const body = { bytes: limits.bodyBytes, depth: limits.nestingDepth };
      return runQuery(c, service, parse(querySchema, await readBody(c.req.raw, body)).input);
    })
    .get("/v1/libraries/:library/query/:name", async (c) => {
      await authenticate(c, service);
      return runQuery(c, service, readInput(c));
    })
    .get("/v1/libraries/:library/log", (c) => readLog(c, service))
    .get("/v1/libraries/:library/mutations/:id", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      const sql = "SELECT first_sequence, last_sequence FROM mutations WHERE mutation_id = ?";
      const args = [c.req.param("id").toLowerCase()];
      const [rows = []] = await library.database.read([{ sql, args }]);
      const [row] = rows;
      if (row === undefined) return answer(c.req.raw, { state: "unknown" });
      return answer(c.req.raw, { state: "committed", first_sequence: row[0], sequence: row[1] });
    })
    .get("/v1/libraries/:library/checksum", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      const at = c.req.query("at");
      if (at !== undefined) await library.reached(readInteger(at, "at"));
      const [heads = [], sums = []] = await library.database.read([
        { sql: "SELECT head FROM library", args: [] },
        { sql: "SELECT resource_type, count, sum FROM checksums", args: [] },
      ]);
      const types = visibleTypes(c, service, library.state.id);
      const checksums: Record<string, { count: unknown; sum: unknown }> = {};
      for (const { type } of registry.resources) {
        if (types !== null && !types.has(type)) continue;
        const [, count = 0, sum = 0] = sums.find((row) => row[0] === type) ?? [];
        checksums[type] = { count, sum };
      }
      return answer(c.req.raw, { sequence: heads[0]?.[0] ?? 0, checksums });
    });
}
