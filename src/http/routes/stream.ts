import { Hono } from "hono";
import { SyncError } from "../../protocol/errors.ts";
import { PROTOCOL_VERSION } from "../../protocol/version.ts";
import type { Library } from "../../library/library.ts";
import type { Service } from "../../service.ts";
import type { Format } from "../../stream/codec.ts";
import { HOP_HEADER } from "../../auth/node-credential.ts";
import { isLeader } from "../../lease/lease.ts";
import {
  authenticate,
  isBeyondHead,
  isOtherHistory,
  openFor,
  readInteger,
  visibleTypes,
} from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { EVENTS_MSGPACK, accepts } from "../media.ts";

function refuse(path: string, message: string): SyncError {
  return new SyncError("invalid_body", { issues: [{ path, message }] });
}

function formatOf(c: AppContext): Format {
  const isBare = accepts(c.req.raw, EVENTS_MSGPACK, "text/event-stream");
  const wantsRecords = c.req.query("records") === "1";
  if (isBare) return wantsRecords ? "records" : "msgpack";
  if (wantsRecords) throw refuse("records", `Send Accept: ${EVENTS_MSGPACK} with it.`);
  const encoding = c.req.query("encoding") ?? "msgpack";
  if (encoding === "json") return "sse-json";
  if (encoding === "msgpack") return "sse";
  throw refuse("encoding", 'Use "msgpack" or "json".');
}

/** Where a stream begins. */
interface Start {
  readonly cursor: number;
  /** Why it must begin afresh: the asked-for place is gone. */
  readonly reset: string | null;
  /** None was asked for: a reader that hears nothing but `hello` would not know where it stood. */
  readonly isFirst?: boolean;
}

async function startOf(c: AppContext, library: Library): Promise<Start> {
  const { oldestSequence } = library.state;
  // On a node that follows, the hub may be behind the head that the database names.
  const { head } = library.hub;
  const after = c.req.query("after");
  const asked = after ?? c.req.header("last-event-id");
  if (isOtherHistory(c, library)) return { cursor: head, reset: "history_changed" };
  if (asked === undefined || asked === "") return { cursor: head, reset: null, isFirst: true };
  const cursor = readInteger(asked, after === undefined ? "Last-Event-ID" : "after");
  if (await isBeyondHead(library, cursor)) return { cursor: head, reset: "history_changed" };
  if (cursor < oldestSequence - 1) return { cursor: head, reset: "cursor_expired" };
  return { cursor, reset: null };
}

/** A one-time ticket, for clients that cannot send headers; else the token. */
async function identify(c: AppContext, service: Service): Promise<void> {
  const ticket = c.req.query("ticket");
  if (ticket === undefined) {
    await authenticate(c, service);
    return;
  }
  const id = (c.req.param("library") ?? "").toLowerCase();
  const capability = service.tickets.redeem(ticket, id);
  if (capability === null || service.revocations.isRevoked(capability)) {
    const detail = "The ticket is unknown, used or expired; ask for another.";
    throw new SyncError("unauthorized", { reason: "bad_ticket" }, { detail });
  }
  c.set("capability", capability);
}

function firstFrames(
  library: Library,
  service: Service,
  { cursor, reset, isFirst, format }: Start & { readonly format: Format },
) {
  const { state } = library;
  const { head } = library.hub;
  const { epoch } = state;
  const known = { history_id: state.historyId, head, oldest_sequence: state.oldestSequence };
  const hello = {
    protocol: PROTOCOL_VERSION,
    ...known,
    epoch,
    leader_device_id: state.leaderDeviceId,
    registry_hash: service.registry.hash,
    types: service.registry.resources
      .filter(({ domain }) => domain !== "state")
      .map(({ type }) => type),
  };
  const { codec } = library.hub;
  const structures = format === "records" ? { structures: codec.structures } : {};
  const greeting = { ...hello, ...structures };
  // An empty library has no place yet.
  const id = isFirst === true && cursor > 0 ? cursor : undefined;
  const frames = [codec.encodeControl("hello", greeting, { format, id })];
  if (reset !== null) {
    const facts = { reason: reset, ...known };
    frames.push(codec.encodeControl("reset", facts, { format, id: cursor }));
  }
  return frames;
}

/** Counts the streams that each token holds on this node. */
function createStreamCount(max: number) {
  const open = new Map<string, number>();
  const move = (tokenId: string, by: number): void => {
    const count = (open.get(tokenId) ?? 0) + by;
    if (count > 0) open.set(tokenId, count);
    else open.delete(tokenId);
  };
  return { isFull: (tokenId: string) => (open.get(tokenId) ?? 0) >= max, move };
}

function tooMany(owner: string): SyncError {
  const detail = `This ${owner} has as many streams as it may have.`;
  return new SyncError("overloaded", { retryAfterSeconds: 5 }, { detail });
}

/** A body begins to be read within this, or never does, as that of a HEAD. */
const BEGIN_MS = 1_000;

/** Holds a library until the body of its stream has begun: from then on whoever listens holds it. */
async function holdUntilBegun({ catalog, clock }: Service, { state }: Library) {
  const begun = Promise.withResolvers<void>();
  const { letGo } = await catalog.hold(state.id);
  void Promise.race([begun.promise, clock.sleep(BEGIN_MS)]).then(letGo);
  return begun.resolve;
}

/** The live stream: a cursor into the hub, pulled by the reader. */
export function streamRoutes(service: Service): Hono<AppEnv> {
  const { limits } = service;
  const held = createStreamCount(limits.streamsPerToken);
  return new Hono<AppEnv>().get("/v1/libraries/:library/events", async (c) => {
    await identify(c, service);
    const library = await openFor(c, service, { role: "reader" });
    const capability = c.get("capability");
    if (library.hub.size >= limits.streamsPerLibrary) throw tooMany("library");
    if (held.isFull(capability.tokenId)) throw tooMany("token");
    if (c.req.header(HOP_HEADER) !== undefined && !isLeader(library.state)) {
      // Another node's relay: it must follow the leader itself, never a node that follows.
      const { leaderUrl, epoch } = library.state;
      throw new SyncError("not_leader", { leaderUrl, epoch });
    }
    const format = formatOf(c);
    const start = await startOf(c, library);
    const { cursor, reset } = start;
    if (reset !== null) service.telemetry.count("stream_resets", 1, { reason: reset });
    const types = visibleTypes(c, service, library.state.id);
    const { raw } = c.req;
    const isSse = format === "sse" || format === "sse-json";
    const headers = {
      "content-type": isSse ? "text/event-stream" : EVENTS_MSGPACK,
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    };
    const onBegun = await holdUntilBegun(service, library);
    const body = service.openBody({
      highWaterBytes: limits.subscriberBytes,
      signal: () => raw.signal,
      subscribe: (sink) => {
        held.move(capability.tokenId, 1);
        for (const frame of firstFrames(library, service, { ...start, format })) sink.write(frame);
        onBegun();
        return library.hub.subscribe({
          format,
          cursor,
          types,
          expiresAtMs: capability.expiresAtMs,
          isRevoked: () => service.revocations.isRevoked(capability),
          onLeft: () => held.move(capability.tokenId, -1),
          sink,
        });
      },
    });
    return new Response(body, { headers });
  });
}
