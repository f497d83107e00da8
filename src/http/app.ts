import { Hono } from "hono";
import { cors } from "hono/cors";
import { requireGrant, SERVICE_WIDE } from "../auth/capability.ts";
import { HOP_HEADER } from "../auth/node-credential.ts";
import { createId } from "../base/id.ts";
import { isHalted } from "../follower/state.ts";
import { SyncError, errorTable, isSyncError, toProblem } from "../protocol/errors.ts";
import { PROTOCOL_FLOOR } from "../protocol/version.ts";
import type { Service } from "../service.ts";
import { answer } from "./body.ts";
import { authenticate, readInteger, toFailure } from "./context.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { toLeader } from "./forward.ts";
import { deviceRoutes } from "./routes/devices.ts";
import { conflictRoutes } from "./routes/conflicts.ts";
import { docsRoutes } from "./routes/docs.ts";
import { libraryRoutes } from "./routes/libraries.ts";
import { mutationRoutes } from "./routes/mutations.ts";
import { readRoutes } from "./routes/reads.ts";
import { paceLarge } from "./pieces.ts";
import { replicaRoutes } from "./routes/replica.ts";
import { setupRoutes } from "./routes/setup.ts";
import { snapshotRoutes } from "./routes/snapshot.ts";
import { streamRoutes } from "./routes/stream.ts";
import { writeRoutes } from "./routes/writes.ts";

/** The only place that turns errors into responses. */
function toResponse(error: unknown, c: AppContext, service: Service): Response {
  const request = c.req.raw;
  const path = new URL(request.url).pathname;
  // Its lease went because it stops: there is no leader to name yet, and the next one is found by asking again.
  const isOver = service.isStopping() && isSyncError(error, "not_leader");
  const known = isOver ? closing(isFromNode(c)) : toFailure(c, service, error);
  const { status } = errorTable[known.code];
  service.telemetry.count("problems", 1, { code: known.code });
  const wait = "retryAfterSeconds" in known.facts ? known.facts.retryAfterSeconds : null;
  const problem = toProblem(known, path);
  return answer(
    request,
    { ...problem },
    {
      status,
      type: "application/problem+json",
      headers: {
        ...(wait === null ? {} : { "retry-after": String(wait) }),
        ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
      },
    },
  );
}

const isFromNode = (c: AppContext): boolean => c.req.header(HOP_HEADER) !== undefined;

/** Connections outlive the last request a node takes; another node then looks for the next leader. */
function closing(isAskedByNode: boolean): SyncError {
  const detail = "This node is stopping.";
  return isAskedByNode
    ? new SyncError("not_leader", { leaderUrl: null, epoch: 0 }, { detail })
    : new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

/** Refuses a client that says it speaks what this service no longer does. @throws protocol_too_old */
function assertSpoken(protocol: number): void {
  if (protocol >= PROTOCOL_FLOOR) return;
  const detail = `Protocol ${protocol} is no longer spoken here; ${PROTOCOL_FLOOR} is the oldest.`;
  throw new SyncError("protocol_too_old", { protocol: PROTOCOL_FLOOR }, { detail });
}

/** Browsers of these origins may ask; "*" lets every origin ask, for each needs a token anyway. */
function allowOrigins(origins: readonly string[]) {
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "HEAD", "POST", "DELETE"],
    allowHeaders: [
      "authorization",
      "content-type",
      "content-encoding",
      "if-none-match",
      "last-event-id",
      "traceparent",
      "x-device-id",
      "x-remote-token",
      "x-request-id",
      "x-syncline-protocol",
    ],
    exposeHeaders: ["etag", "retry-after", "x-request-id"],
    maxAge: 600,
  });
}

/**
 * Answers HEAD as GET and leaves it to the runtime to send no body: a body that is taken away before says
 * that there are 0 bytes, and its stream would never end.
 */
function answerHead(app: Hono<AppEnv>): Hono<AppEnv> {
  const { fetch } = app;
  app.fetch = (request, ...rest) =>
    fetch(request.method === "HEAD" ? new Request(request, { method: "GET" }) : request, ...rest);
  return app;
}

/** The HTTP contract (API.md) over a service. */
export function createApp(service: Service): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  if (service.corsOrigins.length > 0) app.use("*", allowOrigins(service.corsOrigins));
  app.use("*", async (c, next) => {
    const named = c.req.header("x-request-id");
    const requestId = named !== undefined && /^[\w.:-]{1,128}$/.test(named) ? named : createId();
    c.set("requestId", requestId);
    const started = service.clock.monotonic();
    const span = service.telemetry.span(
      "http.request",
      { method: c.req.method, path: c.req.path },
      { carrier: c.req.raw.headers },
    );
    c.set("span", span);
    await next().finally(() => c.get("held")?.letGo());
    if (named !== undefined || !c.res.ok) c.res.headers.set("x-request-id", requestId);
    const labels = { method: c.req.method, status: c.res.status };
    service.telemetry.count("requests", 1, labels);
    service.telemetry.observe(
      "request_seconds",
      (service.clock.monotonic() - started) / 1_000,
      labels,
    );
    span.set({ status: c.res.status });
    span.end(c.error);
  });
  app.use("/v1/*", async (c, next) => {
    if (service.isStopping()) throw closing(isFromNode(c));
    const named = c.req.header("x-syncline-protocol");
    if (named !== undefined) assertSpoken(readInteger(named, "X-Syncline-Protocol"));
    await next();
    paceLarge(c, service);
  });
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    await service.ready();
    // A halted replica still serves what it has, but a person is needed.
    const halted = [...service.following.statuses()].flatMap(([library, { state, reason }]) =>
      isHalted(state) ? [{ library, state, reason }] : [],
    );
    return c.json({ status: "ready", ...(halted.length === 0 ? {} : { halted }) });
  });
  app.get("/metrics", async (c) => {
    if (!service.hasOpenMetrics(c.req.raw)) {
      requireGrant(await authenticate(c, service), { library: SERVICE_WIDE, role: "reader" });
    }
    return c.text(service.metrics(), 200, { "content-type": "text/plain; version=0.0.4" });
  });
  app.route("/", replicaRoutes(service));
  app.use("/v1/libraries/:library/*", toLeader(service, app));
  app.route("/", writeRoutes(service));
  app.route("/", mutationRoutes(service));
  app.route("/", conflictRoutes(service));
  app.route("/", streamRoutes(service));
  app.route("/", readRoutes(service));
  app.route("/", snapshotRoutes(service));
  app.route("/", libraryRoutes(service));
  app.route("/", deviceRoutes(service));
  app.route("/", setupRoutes(service));
  app.route("/", docsRoutes(service, app));
  app.notFound((c) => {
    const { pathname } = new URL(c.req.url);
    const what = `${c.req.method} ${pathname}`;
    const error = new SyncError("not_found", { what }, { detail: `There is no route ${what}.` });
    return toResponse(error, c, service);
  });
  app.onError((error, c) => toResponse(error, c, service));
  return answerHead(app);
}
