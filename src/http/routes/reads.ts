import { Hono } from "hono";
import { SyncError } from "../../protocol/errors.ts";
import type { WireResource } from "../../protocol/errors.ts";
import type { Service } from "../../service.ts";
import { readPage } from "../../store/pages.ts";
import { fetchByIds, renderRows } from "../../stream/render.ts";
import { answer } from "../body.ts";
import { VARY } from "../gzip.ts";
import {
  authenticate,
  openFor,
  readAfter,
  readInteger,
  readLimit,
  toPage,
  visibleTypes,
} from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { logRoutes } from "./log.ts";
import { queryRoutes } from "./queries.ts";

async function readRecord(c: AppContext, service: Service): Promise<Response> {
  await authenticate(c, service);
  const resource = service.registry.resource(c.req.param("type") ?? "");
  const library = await openFor(c, service, { role: "reader", type: resource.type });
  const [found] = await fetchByIds(library, resource, [(c.req.param("id") ?? "").toLowerCase()]);
  if (found === undefined) {
    const what = `${resource.type} ${c.req.param("id") ?? ""}`;
    throw new SyncError("not_found", { what });
  }
  const etag = `"${found.version}"`;
  // What is joined from other tables changes without its version.
  const known = resource.isPlain ? (c.req.header("if-none-match")?.split(/,\s*/) ?? []) : [];
  if (known.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag)) {
    return new Response(null, { status: 304, headers: { etag, vary: VARY } });
  }
  return answer(c.req.raw, found, { headers: { etag } });
}

async function listRecords(c: AppContext, service: Service): Promise<Response> {
  await authenticate(c, service);
  const resource = service.registry.resource(c.req.param("type") ?? "");
  const library = await openFor(c, service, { role: "reader", type: resource.type });
  const limit = readLimit(c, service);
  const sequence = library.state.head;
  const bytes = service.limits.pageBytes;
  const asked = { after: readAfter(c), limit: limit + 1, bytes };
  const { readNear, turn } = library.database;
  return turn(async () => {
    const { rows, isLast } = await readPage(readNear, resource, asked);
    const { page, nextCursor: next } = toPage(rows, limit);
    // A page that is full by its bytes is shorter than was asked for, and goes on.
    const nextCursor = isLast ? next : (page.at(-1)?.["id"] ?? null);
    const resources: readonly WireResource[] = await renderRows(resource, page, library.reader);
    return answer(c.req.raw, { resources, next_cursor: nextCursor, sequence });
  });
}

/** What became of a mutation whose answer was lost (I5). */
async function findMutation(c: AppContext, service: Service): Promise<Response> {
  await authenticate(c, service);
  const library = await openFor(c, service, { role: "reader" });
  const sql = `SELECT first_sequence, last_sequence, answer->'$.refusal.code' IS NOT NULL
      FROM mutations WHERE mutation_id = ?`;
  const args = [(c.req.param("id") ?? "").toLowerCase()];
  const [rows = []] = await library.database.read([{ sql, args }]);
  const [row] = rows;
  if (row === undefined) return answer(c.req.raw, { state: "unknown" });
  if (row[2] === 1) return answer(c.req.raw, { state: "unknown", refused: true });
  // One that changed nothing has no sequence.
  const at = row[0] === null ? {} : { first_sequence: row[0], sequence: row[1] };
  return answer(c.req.raw, { state: "committed", ...at });
}

async function readChecksums(c: AppContext, service: Service): Promise<Response> {
  await authenticate(c, service);
  const library = await openFor(c, service, { role: "reader" });
  const at = c.req.query("at");
  if (at !== undefined) await library.reached(readInteger(at, "at"));
  const [heads = [], sums = []] = await library.database.readNear([
    { sql: "SELECT head FROM library", args: [] },
    { sql: "SELECT resource_type, count, sum FROM checksums", args: [] },
  ]);
  const types = visibleTypes(c, service, library.state.id);
  const checksums: Record<string, { count: unknown; sum: unknown }> = {};
  for (const { type } of service.registry.resources) {
    if (types !== null && !types.has(type)) continue;
    const [, count = 0, sum = 0] = sums.find((row) => row[0] === type) ?? [];
    checksums[type] = { count, sum };
  }
  return answer(c.req.raw, { sequence: heads[0]?.[0] ?? 0, checksums });
}

/** Resources, queries, the log, mutation fate and checksums. */
export function readRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get("/v1/libraries/:library/resources/:type/:id", (c) => readRecord(c, service))
    .get("/v1/libraries/:library/resources/:type", (c) => listRecords(c, service))
    .get("/v1/libraries/:library/mutations/:id", (c) => findMutation(c, service))
    .get("/v1/libraries/:library/checksum", (c) => readChecksums(c, service))
    .route("/", queryRoutes(service))
    .route("/", logRoutes(service));
}
