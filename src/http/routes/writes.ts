import { Hono } from "hono";
import { requireGrant } from "../../auth/capability.ts";
import type { BulkReceipt } from "../../commit/bulk-operation.ts";
import type { ChangeRequest, Receipt } from "../../commit/change.ts";
import type { TransactionManager } from "../../commit/manager.ts";
import type { ResilientReceipt } from "../../commit/resilient.ts";
import { createId } from "../../base/id.ts";
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
import { readRecords } from "../records.ts";

function commitAnswer(receipt: Receipt, mutationId: string | undefined) {
  // Ids are the same whatever the case of their letters; the log and the events have small ones.
  return {
    ...(receipt.lastSequence === null ? { unchanged: true } : { sequence: receipt.lastSequence }),
    epoch: receipt.epoch,
    transaction_id: receipt.transactionId,
    mutation_id: mutationId?.toLowerCase() ?? null,
    replayed: receipt.replayed,
    resource: receipt.resources[0] ?? null,
  };
}

function batchAnswer(receipt: Receipt | ResilientReceipt) {
  return {
    first_sequence: receipt.firstSequence,
    last_sequence: receipt.lastSequence,
    epoch: receipt.epoch,
    transaction_id: receipt.transactionId,
    replayed: receipt.replayed,
    resources: receipt.resources.filter((resource) => resource !== null),
    ...(receipt.lastSequence === null ? { unchanged: true } : {}),
    ...("failed" in receipt ? { failed: receipt.failed } : {}),
    ...(receipt.output === undefined ? {} : { output: receipt.output }),
  };
}

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

function createCommit(service: Service): Handler {
  const { registry, telemetry } = service;
  const small = bodyLimits(service);
  return async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "writer" });
    const { mutation_id, ...change } = parse(
      commitSchema,
      withType(c, await readBody(c.req.raw, small)),
    );
    const { type } = registry.resource(change.resource_type);
    requireGrant(c.get("capability"), { library: library.state.id, role: "writer", type });
    const context = { author: await authorOf(c, library), mutationId: mutationOf(c, mutation_id) };
    const receipt = await library.manager.commit(change, context);
    telemetry.count("commits", 1, { kind: "commit" });
    if (receipt.lastSequence === null) telemetry.count("unchanged_commits");
    return answer(c.req.raw, commitAnswer(receipt, mutation_id));
  };
}

function createBatch(service: Service): Handler {
  const { limits, registry, telemetry } = service;
  const large = bodyLimits(service, limits.batchBodyBytes);
  return async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "writer" });
    const body = (await readBody(c.req.raw, large)) as { changes?: unknown; atomic?: unknown };
    const changes = Array.isArray(body.changes)
      ? body.changes.map((one) => withType(c, one))
      : body.changes;
    const { mutation_id, operation, ...rest } =
      body.atomic === false
        ? toEach(parse(resilientBatchSchema, { ...body, changes }))
        : parse(batchSchema, { ...body, changes });
    const requests: readonly ChangeRequest[] = rest.changes;
    const types = new Set(requests.map((change) => change.resource_type));
    for (const type of types) {
      if (registry.find(type) === undefined) continue;
      requireGrant(c.get("capability"), { library: library.state.id, role: "writer", type });
    }
    const context = {
      author: await authorOf(c, library),
      mutationId: mutationOf(c, mutation_id),
      ...(operation === undefined ? {} : { operation }),
    };
    const receipt =
      "unreadable" in rest
        ? await commitEach(library.manager, rest, context)
        : await library.manager.commitBatch(requests, context);
    telemetry.count("commits", 1, { kind: "batch" });
    return answer(c.req.raw, batchAnswer(receipt));
  };
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
    running += 1;
    telemetry.gauge("bulks_running", running);
    const bulk = library.bulk.run({
      resource,
      mode: query.mode,
      token: (query.token ?? createId()).toLowerCase(),
      hints: query.hints ?? {},
      author,
      onError: query.on_error,
      records: readRecords(c.req.raw, limits, service.clock),
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
  const { limits, telemetry } = service;
  const large = bodyLimits(service, limits.batchBodyBytes);
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
      const receipt = await library.bulk.find(c.req.param("token").toLowerCase());
      if (receipt === null) throw new SyncError("not_found", { what: "bulk operation" });
      return answer(c.req.raw, bulkAnswer(receipt));
    })
    .post("/v1/libraries/:library/actions/:name", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "writer" });
      const { input, mutation_id } = parse(actionSchema, await readBody(c.req.raw, large));
      const context = {
        author: await authorOf(c, library),
        mutationId: mutationOf(c, mutation_id),
      };
      const receipt = await library.manager.runAction(c.req.param("name"), input, context);
      telemetry.count("commits", 1, { kind: "action" });
      return answer(c.req.raw, batchAnswer(receipt));
    });
}
