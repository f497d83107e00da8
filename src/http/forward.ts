import type { Hono, MiddlewareHandler } from "hono";
import { proxy } from "hono/proxy";
import { HOP_HEADER, MUTATION_HEADER, NODE_HEADER } from "../auth/node-credential.ts";
import { createId } from "../base/id.ts";
import type { Leader } from "../library/leadership.ts";
import type { Library } from "../library/library.ts";
import { mayWrite } from "../lease/lease.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { Service } from "../service.ts";
import { bytesOf, readBytes } from "./body.ts";
import { assertHistory, authenticate, bodyLimits, openFor } from "./context.ts";
import type { AppContext, AppEnv } from "./context.ts";

/**
 * Any node takes any request (DESIGN section 8). What may write goes to the node that leads:
 *
 *   1. this node leads, or can take the lease: the request goes on to its route;
 *   2. another leads: the request goes there once, with the caller's verified capability;
 *   3. that node is gone: wait until its lease has ended or another leads, then again;
 *   4. it lives but is slow: 503 after a while, because what becomes of the request is not known;
 *   5. nobody leads it any more, because it was merged: the library it went into is asked instead;
 *   6. this node stopped leading while the request waited here: from 1 again, once.
 *
 * A request may be sent twice in step 3, so each that has no mutation id gets one: it still takes
 * effect once (I5). A bulk body streams and cannot be sent again; its token lets the caller go on.
 *
 * @module
 */
export function toLeader(service: Service, app: Hono<AppEnv>): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (!isWrite(c.req.method, c.req.path)) return next();
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "reader" });
    assertHistory(c, library);
    const { state } = library;
    // What a replica may not write itself, its follower has already taken care of.
    if (state.isReplica && (await isAnother(service, library))) return app.fetch(c.req.raw);
    const mayBegin = state.isReplica || mayWrite(state, service.clock);
    if (!mayBegin && c.req.header(HOP_HEADER) !== undefined) throw notLeader(library);
    const answer = mayBegin ? null : await settle(c, { service, app }, library);
    if (answer !== null) return answer;
    if (!state.isReplica) await service.following.inherit(library);
    await next();
    return repeat(c, app);
  };
}

/** Whether a copy is followed now, as another node has begun, or leads, for it was promoted meanwhile. */
async function isAnother({ following, catalog }: Service, copy: Library): Promise<boolean> {
  const { id } = copy.state;
  if (following.find(id) !== undefined) return false;
  await following.look();
  return following.find(id) !== undefined || (await catalog.open(id)) !== copy;
}

const AGAIN_HEADER = "x-syncline-again";

/** Begins anew what this node could no longer write when its turn came: nothing of it was written. */
async function repeat(c: AppContext, app: Hono<AppEnv>): Promise<void> {
  if (!isSyncError(c.error, "not_leader")) return;
  const body = bytesOf(c.req.raw);
  const isSecond = [HOP_HEADER, AGAIN_HEADER].some((name) => c.req.header(name) !== undefined);
  if (body === undefined || isSecond) return;
  const { method, signal, url } = c.req.raw;
  const headers = new Headers(c.req.raw.headers);
  headers.set(AGAIN_HEADER, "1");
  const init = { method, signal, headers, body: body as BodyInit };
  c.error = undefined;
  c.res = undefined;
  c.res = await app.fetch(new Request(url, init));
}

/** How long a request outlives the leader's lease before it is given back to the caller. */
const GRACE_MS = 1_000;
const RETRY_MS = 50;
const WATCH_MS = 250;

/** True for what changes a library; questions and tickets are answered by whoever is asked. */
function isWrite(method: string, path: string): boolean {
  return (
    (method === "POST" || method === "PUT" || method === "PATCH" || method === "DELETE") &&
    !/\/(query\/[^/]+|stream-tickets)$/.test(path)
  );
}

function notLeader({ state }: Library): SyncError {
  const detail = "This node does not lead the library, and the node that does cannot be reached.";
  return new SyncError(
    "not_leader",
    { leaderUrl: state.leaderUrl, epoch: state.epoch },
    { detail },
  );
}

function slowLeader(ms: number): SyncError {
  const detail =
    `The node that leads the library did not answer within ${ms} ms. Send the request again with ` +
    "the same mutation_id: it takes effect once.";
  return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

/** The leader's answer, or null when this node has become the leader. @throws not_leader */
async function settle(
  c: AppContext,
  { service, app }: { readonly service: Service; readonly app: Hono<AppEnv> },
  library: Library,
): Promise<Response | null> {
  const { clock, lease, telemetry } = service;
  const deadline = clock.monotonic() + lease.leaseMs + GRACE_MS;
  const isStreamed = c.req.path.endsWith("/bulk");
  if (!isStreamed) await keepBody(c, service);
  for (let isFresh = false; clock.monotonic() < deadline; isFresh = true) {
    const leader = await library.leadership.lead(isFresh);
    if (leader === null) return null;
    if (leader.url === null) {
      // Nobody will lead what another node has just merged into another library.
      await service.catalog.look();
      if (service.catalog.resolve(library.state.id) === library.state.id) break;
      return app.fetch(c.req.raw);
    }
    const answer = await send(c, service, { library, leader, isStreamed });
    telemetry.count("requests_forwarded", 1, { outcome: answer === null ? "lost" : "answered" });
    if (answer !== null) return answer;
    if (isStreamed && c.req.raw.bodyUsed) break;
    await clock.sleep(RETRY_MS);
  }
  throw notLeader(library);
}

/** Keeps the body, so that it can be sent again or be read by this node's own route. */
async function keepBody(c: AppContext, service: Service): Promise<void> {
  const bytes = await readBytes(c.req.raw, bodyLimits(service, service.limits.batchBodyBytes));
  const headers = new Headers(c.req.raw.headers);
  if (!headers.has(MUTATION_HEADER)) headers.set(MUTATION_HEADER, createId());
  const { method, signal, url } = c.req.raw;
  c.req.raw = new Request(url, { method, signal, headers, body: bytes as BodyInit });
}

/** Sends the request on. Answers null when it was lost, or the leader no longer leads. */
async function send(
  c: AppContext,
  service: Service,
  target: { readonly library: Library; readonly leader: Leader; readonly isStreamed: boolean },
): Promise<Response | null> {
  const { library, leader, isStreamed } = target;
  const { pathname, search } = new URL(c.req.url);
  const url = `${leader.url?.replace(/\/$/, "") ?? ""}${pathname}${search}`;
  const lost = new AbortController();
  const stopWatching = watch(service, target, () => lost.abort());
  let isLate = false;
  const stopTimer = service.clock.every(service.limits.forwardMs, () => {
    // A bulk lasts as long as it lasts; its own clock ends it.
    isLate = !isStreamed;
    if (isLate) lost.abort();
  });
  try {
    const answer = await proxy(url, {
      raw: c.req.raw,
      headers: await headersFor(c, service),
      body: isStreamed ? c.req.raw.body : await c.req.raw.clone().arrayBuffer(),
      signal: AbortSignal.any([c.req.raw.signal, lost.signal]),
      customFetch: ({ method, headers, body, signal }) => {
        const init = { method, headers, body, signal, duplex: "half" };
        return service.fetch(url, init as RequestInit);
      },
    });
    if (answer.status !== 421) return answer;
    await answer.body?.cancel();
    return null;
  } catch (error) {
    if (c.req.raw.signal.aborted) throw error;
    if (isLate) throw slowLeader(service.limits.forwardMs);
    service.telemetry.log("debug", "The leader did not answer.", {
      library_id: library.state.id,
      leader_url: leader.url,
      error,
    });
    return null;
  } finally {
    stopWatching();
    stopTimer();
  }
}

/** Gives the leader up once its lease has ended without a renewal, or another epoch leads. */
function watch(
  service: Service,
  { library, leader }: { readonly library: Library; readonly leader: Leader },
  onLost: () => void,
): () => void {
  const { state, leadership } = library;
  const isOver = (): boolean =>
    state.epoch !== leader.epoch || service.clock.monotonic() > state.leaseEndsAt;
  return service.clock.every(WATCH_MS, () => {
    if (!isOver()) return;
    leadership.refresh().then(
      () => (isOver() ? onLost() : undefined),
      () => {},
    );
  });
}

async function headersFor(
  c: AppContext,
  service: Service,
): Promise<Record<string, string | undefined>> {
  const headers = {
    ...c.req.header(),
    ...service.telemetry.headersOf(c.get("span")),
    host: undefined,
    [HOP_HEADER]: service.lease.deviceId,
  };
  if (service.credentials === null) return headers;
  const credential = await service.credentials.sign(c.get("capability"));
  return { ...headers, authorization: undefined, [NODE_HEADER]: credential };
}
