import { Hono } from "hono";
import type { BulkReceipt } from "../../commit/bulk-operation.ts";
import type { ChangeRequest } from "../../commit/change.ts";
import type { TransactionManager } from "../../commit/manager.ts";
import type { ResilientReceipt } from "../../commit/resilient.ts";
import { requireGrant } from "../../auth/capability.ts";
import { createId } from "../../base/id.ts";
import type { Library } from "../../library/library.ts";
import {
  actionSchema,
  batchSchema,
  bulkQuerySchema,
  changeSchema,
  commitSchema,
  resilientBatchSchema,
} from "../../protocol/commit.ts";
import { SyncError, isSyncError, toProblem, withIndex } from "../../protocol/errors.ts";
import type { Service } from "../../service.ts";
import { answer, readBody } from "../body.ts";
import { authenticate, authorOf, bodyLimits, mutationOf, openFor, parse } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { act, batchAnswer, commitMany, commitOne, requireTypes, writerOf } from "../mutation.ts";
import type { Asking } from "../mutation.ts";
import { readRecords } from "../records.ts";

function bulkAnswer(receipt: BulkReceipt) {
  return {
    token: receipt.token,
    state: receipt.state,
    affected_count: receipt.affectedCount,
    failed_count: receipt.failedCount,
    sequence: receipt.sequence,
    failures: receipt.failures,
    replayed: receipt.replayed,
  };
}

/** `resource_type` from the path, for the routes of one type. */
function withType(c: AppContext, value: unknown): unknown {
  const type = c.req.param("type");
  if (type === undefined || typeof value !== "object" || value === null) return value;
  if ("resource_type" in value && value.resource_type !== type) {
    const message = `This route is for ${type}; leave the type out, or take the general route.`;
    throw new SyncError("invalid_body", { issues: [{ path: "resource_type", message }] });
  }
  return { ...value, resource_type: type };
}

/** The changes that can be read, and where they stood; the others as the failures they are. */
function toEach<Body extends { readonly changes: readonly unknown[] }>(body: Body) {
  const changes: ChangeRequest[] = [];
  const places: number[] = [];
  const unreadable: ResilientReceipt["failed"][number][] = [];
  for (const [index, change] of body.changes.entries()) {
    try {
      changes.push(parse(changeSchema, change));
      places.push(index);
    } catch (error) {
      if (!isSyncError(error)) throw error;
      unreadable.push({ index, problem: toProblem(withIndex(error, index)) });
    }
  }
  return { ...body, changes, places, unreadable };
}

/** Commits what can be read and is allowed; lists what was not, by its place in the request. */
async function commitEach(
  manager: TransactionManager,
  { changes, places, unreadable }: ReturnType<typeof toEach>,
  context: Parameters<TransactionManager["commitResilient"]>[1],
): Promise<ResilientReceipt> {
  const receipt = await manager.commitResilient(changes, context);
  const refused = receipt.failed.map((one) => {
    const index = places[one.index] ?? one.index;
    return { index, problem: { ...one.problem, index } };
  });
  return { ...receipt, failed: [...unreadable, ...refused].toSorted((a, b) => a.index - b.index) };
}

type Handler = (c: AppContext) => Promise<Response>;

/** What each writing route begins with. */
async function toAsking(
  c: AppContext,
  service: Service,
  { library, mutationId }: { readonly library: Library; readonly mutationId: string | undefined },
): Promise<Asking> {
  const context = { author: await authorOf(c, library), mutationId: mutationOf(c, mutationId) };
  return { service, library, capability: c.get("capability"), context };
}

function createCommit(service: Service): Handler {
  const small = bodyLimits(service);
  return async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "writer" });
    const { mutation_id, ...change } = parse(
      commitSchema,
      withType(c, await readBody(c.req.raw, small)),
    );
    const asking = await toAsking(c, service, { library, mutationId: mutation_id });
    return answer(c.req.raw, await commitOne(asking, change, mutation_id));
  };
}

function createBatch(service: Service): Handler {
  const { limits, telemetry } = service;
  const large = bodyLimits(service, limits.batchBodyBytes);
  return async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "writer" });
    const body = (await readBody(c.req.raw, large)) as { changes?: unknown; atomic?: unknown };
    const changes = Array.isArray(body.changes)
      ? body.changes.map((one) => withType(c, one))
      : body.changes;
    if (body.atomic !== false) {
      const { mutation_id, operation, ...batch } = parse(batchSchema, { ...body, changes });
      const asking = await toAsking(c, service, { library, mutationId: mutation_id });
      return answer(c.req.raw, await commitMany(asking, batch.changes, operation));
    }
    const each = toEach(parse(resilientBatchSchema, { ...body, changes }));
    const asking = await toAsking(c, service, { library, mutationId: each.mutation_id });
    requireTypes(writerOf(asking), each.changes);
    const { operation } = each;
    const context = { ...asking.context, ...(operation === undefined ? {} : { operation }) };
    const receipt = await commitEach(library.manager, each, context);
    telemetry.count("commits", 1, { kind: "batch" });
    return answer(c.req.raw, batchAnswer(receipt));
  };
}

/** Ends an upload whose token is revoked while it runs: it may take as long as its sender likes. */
async function* whileTrusted<Part>(
  parts: AsyncIterable<Part>,
  isRevoked: () => boolean,
): AsyncGenerator<Part> {
  for await (const part of parts) {
    if (isRevoked()) {
      const detail = "The token was revoked while the records arrived; get a new one and go on.";
      throw new SyncError("unauthorized", { reason: "revoked" }, { detail });
    }
    yield part;
  }
}

function createBulkUpload(service: Service): Handler {
  const { limits, registry, telemetry } = service;
  let running = 0;
  return async (c) => {
    await authenticate(c, service);
    const query = parse(bulkQuerySchema, withType(c, c.req.query()));
    const resource = registry.resource(query.resource_type);
    const library = await openFor(c, service, { role: "writer", type: resource.type });
    const author = await authorOf(c, library);
    const capability = c.get("capability");
    const isRevoked = () => service.revocations.isRevoked(capability);
    running += 1;
    telemetry.gauge("bulks_running", running);
    const bulk = library.bulk.run({
      resource,
      mode: query.mode,
      token: query.token ?? createId(),
      hints: query.hints ?? {},
      author,
      onError: query.on_error,
      arrivals: whileTrusted(readRecords(c.req.raw, limits, service.clock), isRevoked),
    });
    const receipt = await bulk.finally(() => {
      running -= 1;
      telemetry.gauge("bulks_running", running);
    });
    telemetry.count("commits", 1, { kind: "bulk" });
    return answer(c.req.raw, bulkAnswer(receipt));
  };
}

/** Commit, batch, bulk and actions. */
export function writeRoutes(service: Service): Hono<AppEnv> {
  const large = bodyLimits(service, service.limits.batchBodyBytes);
  const commit = createCommit(service);
  const batch = createBatch(service);
  const bulk = createBulkUpload(service);

  return new Hono<AppEnv>()
    .post("/v1/libraries/:library/commit", commit)
    .post("/v1/libraries/:library/batch", batch)
    .post("/v1/libraries/:library/bulk", bulk)
    .post("/v1/libraries/:library/resources/:type/commit", commit)
    .post("/v1/libraries/:library/resources/:type/batch", batch)
    .post("/v1/libraries/:library/resources/:type/bulk", bulk)
    .get("/v1/libraries/:library/bulk/:token", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      const token = c.req.param("token").toLowerCase();
      const receipt = await library.bulk.find(token);
      if (receipt === null) throw new SyncError("not_found", { what: `bulk operation ${token}` });
      // What failed is told with the records that were in the way.
      const need = { library: library.state.id, type: receipt.resourceType };
      requireGrant(c.get("capability"), { ...need, role: "reader" });
      return answer(c.req.raw, bulkAnswer(receipt));
    })
    .post("/v1/libraries/:library/actions/:name", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "writer" });
      const { input, mutation_id } = parse(actionSchema, await readBody(c.req.raw, large));
      const asking = await toAsking(c, service, { library, mutationId: mutation_id });
      return answer(c.req.raw, await act(asking, c.req.param("name"), input));
    });
}
