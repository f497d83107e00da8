import { Hono } from "hono";
import { tryDecodeURIComponent } from "hono/utils/url";
import type { Next } from "hono";
import { requireAllTypes, requireGrant, SERVICE_WIDE } from "../../auth/capability.ts";
import { createId } from "../../base/id.ts";
import type { Follower } from "../../follower/follower.ts";
import { dismiss, readBacklog } from "../../follower/outbox.ts";
import type { Backlog, OutboxEntry } from "../../follower/outbox.ts";
import { isOwn, problemOf } from "../../follower/upstream.ts";
import {
  actionSchema,
  batchSchema,
  commitSchema,
  lineSchema,
  resilientBatchSchema,
} from "../../protocol/commit.ts";
import type { Library } from "../../library/library.ts";
import { SyncError, isSyncError } from "../../protocol/errors.ts";
import { followSchema, resumeSchema } from "../../protocol/setup.ts";
import type { Service } from "../../service.ts";
import { answer, readBody, readOptionalBody } from "../body.ts";
import {
  assertActsAs,
  assertHistory,
  authenticate,
  bodyLimits,
  openFor,
  parse,
} from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { assertMaySend, handLineOn, outOfReach, sendBacklog, toAnswers } from "../line.ts";
import { requireTypes } from "../mutation.ts";
import type { Writer } from "../mutation.ts";

const WRITE =
  /^(?:(?:resources\/([^/]+)\/)?(commit|batch|bulk)|(mutations|actions\/[^/]+|conflicts\/[^/]+\/resolve))$/;

interface Write {
  /** What follows the library in the path. */
  readonly path: string;
  readonly type: string | undefined;
  readonly kind: string;
}

function toWrite(c: AppContext): Write | null {
  const path = c.req.path.split("/").slice(4).join("/");
  const [, type, ofType, ofAll] = WRITE.exec(path) ?? [];
  const kind = ofType ?? ofAll;
  return c.req.method === "POST" && kind !== undefined ? { path, type, kind } : null;
}

/** The body of a write that may have to wait, in the form the general routes take. */
function toRequest(write: Write, given: unknown): Record<string, unknown> {
  const withType = (one: unknown) =>
    write.type === undefined ? one : { ...(one as object), resource_type: write.type };
  if (write.kind === "commit") return parse(commitSchema, withType(given));
  if (write.kind !== "batch") return parse(actionSchema, given);
  const body = given as { changes?: unknown; atomic?: unknown } | null;
  const changes = Array.isArray(body?.changes) ? body.changes.map(withType) : body?.changes;
  const schema = body?.atomic === false ? resilientBatchSchema : batchSchema;
  return parse(schema, { ...body, changes });
}

/** Its changes that say of which type they are. */
function typedOf(request: Record<string, unknown>): { resource_type: string }[] {
  const changes = Array.isArray(request["changes"]) ? request["changes"] : [request];
  return changes.filter(
    (one: { resource_type?: unknown } | null) => typeof one?.resource_type === "string",
  );
}

/** Whether the leader refuses this device, not what its caller sent. */
const isRefused = async (response: Response): Promise<boolean> =>
  !response.ok && isOwn(response.status, await problemOf(response));

/** The leader's answer, as the follower's own. @throws overloaded where it does not let this device in */
async function relay(response: Response): Promise<Response> {
  if (await isRefused(response)) {
    const detail = `The leader answers ${response.status} to this device; whoever runs it must look.`;
    throw new SyncError("overloaded", { retryAfterSeconds: 60 }, { detail });
  }
  const headers = new Headers();
  for (const name of ["content-type", "etag", "retry-after"]) {
    const value = response.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(response.body, { status: response.status, headers });
}

/** A bulk streams through; it is too large to wait here. */
async function streamThrough(
  c: AppContext,
  { follower, write, deviceId }: Forwarded,
): Promise<Response> {
  assertMaySend(follower);
  const { search } = new URL(c.req.url);
  const headers = new Headers();
  for (const name of ["content-type", "content-encoding", "accept"]) {
    const value = c.req.header(name);
    if (value !== undefined) headers.set(name, value);
  }
  headers.set("x-device-id", deviceId);
  const { body } = c.req.raw;
  const init = { method: "POST", headers, body, duplex: "half" };
  return relay(await follower.upstream.send(`/${write.path}${search}`, init as RequestInit));
}

/** How far a bulk is that went through here, which its leader alone knows. */
function createBulkState(service: Service) {
  return async (c: AppContext, next: Next): Promise<Response | void> => {
    await authenticate(c, service);
    const { state } = await openFor(c, service, { role: "reader" });
    const follower = service.following.find(state.id);
    if (follower === undefined) return next();
    assertMaySend(follower);
    const path = `/bulk/${encodeURIComponent(c.req.param("token") ?? "")}`;
    const headers = { accept: c.req.header("accept") ?? "application/json" };
    const { upstream } = follower;
    return relay(await upstream.send(path, { headers, signal: upstream.replySoon() }));
  };
}

/** A write whose leader decides, and who asks for it. */
interface Forwarded {
  readonly follower: Follower;
  readonly write: Write;
  readonly writer: Writer;
  readonly deviceId: string;
}

/** Answers a line, each of its mutations as the leader would. */
function createLineForward(service: Service) {
  const read = bodyLimits(service, service.limits.batchBodyBytes);
  return async (c: AppContext, forwarded: Forwarded): Promise<Response> => {
    const { mutations } = parse(lineSchema, await readBody(c.req.raw, read));
    const mayWait = c.req.query("queue") === "1";
    const results = await handLineOn(mutations, { ...forwarded, mayWait });
    if (results instanceof Response) return relay(results);
    const isKept = results.some((one) => one.status === "fulfilled" && "queued" in one.value);
    return answer(c.req.raw, toAnswers(c, service, results), { status: isKept ? 202 : 200 });
  };
}

/** Answers a commit, a batch or an action. */
function createForward(service: Service) {
  const read = bodyLimits(service, service.limits.batchBodyBytes);
  return async (c: AppContext, { follower, write, writer, deviceId }: Forwarded) => {
    const request = toRequest(write, await readBody(c.req.raw, read));
    requireTypes(writer, typedOf(request));
    const given = request["mutation_id"];
    const mutationId = typeof given === "string" ? given.toLowerCase() : createId();
    const queued = { ...request, mutation_id: mutationId };
    const mayWait = c.req.query("queue") === "1" && request["atomic"] !== false;
    try {
      await sendBacklog(follower);
      const response = await follower.upstream.send(
        `/${write.type === undefined ? write.path : write.kind}`,
        {
          method: "POST",
          headers: {
            "content-type": "application/json",
            accept: c.req.header("accept") ?? "application/json",
            "x-device-id": deviceId,
          },
          body: JSON.stringify(mayWait ? queued : request),
          signal: follower.upstream.replySoon(),
        },
      );
      follower.wake();
      if (!mayWait || (response.status < 500 && !(await isRefused(response))))
        return await relay(response);
    } catch (error) {
      if (!isSyncError(error)) throw error;
      if (!mayWait) throw outOfReach(error);
    }
    const path = tryDecodeURIComponent(write.kind);
    const [problem] = await follower.outbox.add([{ path, mutationId, deviceId, request: queued }]);
    follower.wake();
    if (problem === null || problem === undefined)
      return answer(c.req.raw, { queued: true, mutation_id: mutationId }, { status: 202 });
    const { status } = problem;
    return answer(c.req.raw, problem, { status, type: "application/problem+json" });
  };
}

/** Who follows the library here, unless another node has promoted it meanwhile. */
async function findNow({ following }: Service, id: string): Promise<Follower | undefined> {
  if (following.find(id)?.status.state === "promoted") await following.look();
  return following.find(id);
}

/** Writes of a library that follows: the leader's to decide, or kept until it is in reach. */
function createGate(service: Service) {
  const forward = createForward(service);
  const forwardLine = createLineForward(service);
  return async (c: AppContext, next: Next): Promise<Response | undefined> => {
    const libraryId = (c.req.param("library") ?? "").toLowerCase();
    const follower = await findNow(service, libraryId);
    const write = follower === undefined ? null : toWrite(c);
    if (follower === undefined || write === null) {
      await next();
      return undefined;
    }
    const capability = await authenticate(c, service);
    const need = { library: libraryId, role: "writer" } as const;
    const type = write.type ?? c.req.query("resource_type");
    requireGrant(capability, type === undefined ? need : { ...need, type });
    // The leader sees this device's token: what it alone could hold to types asks for all of them.
    if (/^(actions|conflicts)\//.test(write.kind)) requireAllTypes(capability, need);
    const library = await openFor(c, service, { role: "writer" });
    assertHistory(c, library);
    const author = c.req.header("x-device-id");
    if (author !== undefined) await assertActsAs(c, library, author);
    const deviceId = author ?? follower.deviceId;
    const writer = { registry: service.registry, libraryId, capability };
    const forwarded = { follower, write, writer, deviceId };
    if (write.kind === "mutations") return forwardLine(c, forwarded);
    const isStreamed = write.kind === "bulk" || write.kind.startsWith("conflicts");
    return isStreamed ? streamThrough(c, forwarded) : forward(c, forwarded);
  };
}

function describeBacklog({ waiting, waitingCount, rejected, rejectedCount }: Backlog) {
  const toWire = (entry: OutboxEntry) => ({
    mutation_id: entry.mutationId,
    path: entry.path,
    created_at: new Date(entry.createdAt).toISOString(),
    ...(entry.problem === null ? {} : { problem: entry.problem }),
  });
  return {
    waiting_count: waitingCount,
    waiting: waiting.map(toWire),
    rejected_count: rejectedCount,
    rejected: rejected.map(toWire),
  };
}

async function describe({ status, outbox }: Follower) {
  return {
    state: status.state,
    reason: status.reason,
    leader_url: status.leaderUrl,
    head: status.head,
    leader_head: status.leaderHead,
    lag: status.leaderHead === null ? null : Math.max(0, status.leaderHead - status.head),
    repairs: status.repairs,
    ...describeBacklog(await outbox.list()),
  };
}

function notFollowed(id: string): SyncError {
  const detail = "This node does not follow that library.";
  return new SyncError("not_found", { what: `follower of ${id}` }, { detail });
}

/** What was refused outlives a promotion, until somebody has seen and forgotten it. @throws not_found */
async function describePromoted({ state, database }: Library) {
  const backlog = await readBacklog(database);
  if (state.isReplica || backlog.rejectedCount === 0) throw notFollowed(state.id);
  return {
    state: "promoted",
    reason: null,
    leader_url: state.leaderUrl ?? "",
    head: state.head,
    leader_head: state.head,
    lag: 0,
    repairs: 0,
    ...describeBacklog(backlog),
  };
}

/** Following a leader elsewhere: beginning, watching, going on, and taking over. */
export function replicaRoutes(service: Service): Hono<AppEnv> {
  const { following } = service;
  const small = bodyLimits(service);
  const followerOf = (c: AppContext): Follower => {
    const id = (c.req.param("library") ?? "").toLowerCase();
    const follower = following.find(id);
    if (follower === undefined) throw notFollowed(id);
    return follower;
  };
  return new Hono<AppEnv>()
    .use("/v1/libraries/:library/*", createGate(service))
    .post("/v1/following", async (c) => {
      const capability = await authenticate(c, service);
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      const { library_id, url, token } = parse(followSchema, await readBody(c.req.raw, small));
      const follower = await following.follow({
        libraryId: library_id,
        leaderUrl: url.replace(/\/+$/, ""),
        token,
      });
      return answer(c.req.raw, await describe(follower), { status: 201 });
    })
    .get("/v1/libraries/:library/follower", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      const follower = following.find(library.state.id);
      const told = follower === undefined ? describePromoted(library) : describe(follower);
      return answer(c.req.raw, await told);
    })
    .get("/v1/libraries/:library/bulk/:token", createBulkState(service))
    .post("/v1/libraries/:library/follower/resume", async (c) => {
      await authenticate(c, service);
      await openFor(c, service, { role: "owner" });
      const { accept_history } = parse(resumeSchema, await readOptionalBody(c.req.raw, small));
      const follower = followerOf(c);
      follower.resume({ acceptHistory: accept_history });
      return answer(c.req.raw, await describe(follower), { status: 202 });
    })
    .delete("/v1/libraries/:library/follower/rejected/:mutation", async (c) => {
      await authenticate(c, service);
      const { database } = await openFor(c, service, { role: "writer" });
      const id = c.req.param("mutation").toLowerCase();
      if (!(await dismiss(database, id))) {
        throw new SyncError("not_found", { what: `rejected write ${id}` });
      }
      return c.body(null, 204);
    })
    .post("/v1/libraries/:library/leader/promote", async (c) => {
      await authenticate(c, service);
      await openFor(c, service, { role: "owner" });
      const { state } = await following.promote((c.req.param("library") ?? "").toLowerCase());
      return answer(c.req.raw, {
        leader_device_id: state.leaderDeviceId,
        leader_url: state.leaderUrl,
        epoch: state.epoch,
        is_self: state.leaderDeviceId === service.lease.deviceId,
      });
    });
}
