import { Hono } from "hono";
import { allows, requireAllTypes, requireGrant } from "../../auth/capability.ts";
import { renameKeys, toCamelCase } from "../../base/case.ts";
import { createId } from "../../base/id.ts";
import { validateInput } from "../../commit/validate.ts";
import type { Library } from "../../library/library.ts";
import { querySchema } from "../../protocol/commit.ts";
import { SyncError } from "../../protocol/errors.ts";
import type { WireResource } from "../../protocol/errors.ts";
import type { AnyQuery } from "../../resource/define.ts";
import type { Service } from "../../service.ts";
import { fetchByIds } from "../../stream/render.ts";
import type { Source } from "../../stream/render.ts";
import { answer, assertShape, readBody } from "../body.ts";
import { authenticate, bodyLimits, openFor, parse } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

function readInput(c: AppContext, depth: number): unknown {
  const text = c.req.query("input");
  if (text === undefined) return {};
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch (cause) {
    const issues = [{ path: "input", message: "Not valid JSON." }];
    throw new SyncError("invalid_body", { issues }, { cause });
  }
  assertShape(input, depth);
  return input;
}

/** Counts the records of one answer. What it answers throws body_too_large. */
function countUpTo(limitBytes: number): (bytes: number) => void {
  const detail = `The records of this answer have more than ${limitBytes} bytes together; ask for fewer at once.`;
  let read = 0;
  return (bytes) => {
    read += bytes;
    if (read > limitBytes) throw new SyncError("body_too_large", { limitBytes }, { detail });
  };
}

/** The records that a query's own records name, for whoever may see their types. */
async function fetchRelated(
  c: AppContext,
  service: Service,
  answered: {
    library: string;
    source: Source;
    query: AnyQuery;
    found: readonly WireResource[];
  },
): Promise<Record<string, WireResource[]>> {
  const { library, source, query, found } = answered;
  const related: Record<string, WireResource[]> = {};
  const records = found.map((one) => renameKeys({ ...one }, toCamelCase));
  for (const [type, idOf] of Object.entries(query.related ?? {})) {
    const need = { library, role: "reader", type } as const;
    if (records.length === 0 || !allows(c.get("capability"), need)) continue;
    const ids = new Set(records.map(idOf).filter((id) => typeof id === "string"));
    related[type] = await fetchByIds(source, service.registry.resource(type), [...ids]);
  }
  return related;
}

/** Plain values come from what the query says it depends on, else from anywhere. @throws forbidden */
function requireRead(c: AppContext, library: Library, { returns, dependsOn }: AnyQuery): void {
  const capability = c.get("capability");
  const need = { library: library.state.id, role: "reader" } as const;
  const types = returns === null ? dependsOn : [returns as string];
  if (types === undefined) requireAllTypes(capability, need);
  else for (const type of types) requireGrant(capability, { ...need, type });
}

/** Whether more may come behind an answer: it has as many as its query answers at once. */
function isFull({ limit }: AnyQuery, input: unknown, data: readonly unknown[]): boolean {
  const most = limit?.(input) ?? null;
  return most !== null && data.length >= most;
}

async function runQuery(c: AppContext, service: Service, given: unknown): Promise<Response> {
  const name = c.req.param("name") ?? "";
  const library = await openFor(c, service, { role: "reader" });
  const query = service.registry.queries.get(name);
  if (query === undefined) {
    throw new SyncError("not_found", { what: name }, { detail: `There is no query "${name}".` });
  }
  requireRead(c, library, query);
  const input: unknown = validateInput(query.input, given ?? {});
  return library.database.turn(() => answerQuery(c, service, { library, name, query, input }));
}

interface Asked {
  readonly library: Library;
  readonly name: string;
  readonly query: AnyQuery;
  readonly input: unknown;
}

async function answerQuery(c: AppContext, service: Service, asked: Asked): Promise<Response> {
  const { registry, clock, telemetry } = service;
  const { library, name, query, input } = asked;
  const type = query.returns as string | null;
  const started = clock.monotonic();
  // The sequence is read first: an answer may be newer than it says, never older.
  const sequence = library.state.head;
  const data = await query.resolve(library.reader, input);
  const { database, reader } = library;
  const source = { database, reader, onBytes: countUpTo(service.limits.answerBytes) };
  const found =
    type === null ? [] : await fetchByIds(source, registry.resource(type), data as string[]);
  const related = await fetchRelated(c, service, {
    library: library.state.id,
    source,
    query,
    found,
  });
  const elapsed = clock.monotonic() - started;
  telemetry.observe("query_seconds", elapsed / 1_000, { query: name });
  const known = new Set(found.map(({ id }) => id));
  const ids = type === null ? data : (data as string[]).filter((id) => known.has(id));
  const result = {
    data: ids,
    included: type === null ? {} : { [type]: found, ...related },
    cache: {
      resources: type === null ? {} : { [type]: ids },
      scopes: query.scopes?.(input) ?? [],
      ttl_seconds: query.ttl ?? 300,
      invalidation:
        type === null ? "manual" : { on_resource_change: [type, ...(query.dependsOn ?? [])] },
    },
    meta: {
      sequence,
      execution_time_ms: Math.round(elapsed * 100) / 100,
      query_id: createId(),
      has_more: isFull(query, input, data),
    },
  };
  return answer(c.req.raw, result, { isRead: true });
}

/** The plugins' queries, by POST or by GET. */
export function queryRoutes(service: Service): Hono<AppEnv> {
  const body = bodyLimits(service);
  return new Hono<AppEnv>()
    .post("/v1/libraries/:library/query/:name", async (c) => {
      await authenticate(c, service);
      return runQuery(c, service, parse(querySchema, await readBody(c.req.raw, body)).input);
    })
    .get("/v1/libraries/:library/query/:name", async (c) => {
      await authenticate(c, service);
      return runQuery(c, service, readInput(c, service.limits.nestingDepth));
    });
}
