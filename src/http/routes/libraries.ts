import { Hono } from "hono";
import { SERVICE_WIDE, requireGrant } from "../../auth/capability.ts";
import type { Clock } from "../../base/clock.ts";
import { chainOf } from "../../follower/chain.ts";
import { mayWrite } from "../../lease/lease.ts";
import type { LibraryState } from "../../lease/lease.ts";
import type { LibrarySummary } from "../../library/summary.ts";
import { librarySchema, revocationSchema } from "../../protocol/commit.ts";
import type { Service } from "../../service.ts";
import { answer, readBody } from "../body.ts";
import {
  authenticate,
  bodyLimits,
  openFor,
  parse,
  readAfter,
  readLimit,
  toPage,
} from "../context.ts";
import type { AppEnv } from "../context.ts";

function describe(state: LibrarySummary) {
  return {
    id: state.id,
    name: state.name,
    description: state.description,
    history_id: state.historyId,
    head: state.head,
    epoch: state.epoch,
    leader_device_id: state.leaderDeviceId,
    oldest_sequence: state.oldestSequence,
    created_at: new Date(state.createdAt).toISOString(),
  };
}

function describeLeader(state: LibraryState, clock: Clock) {
  return {
    leader_device_id: state.leaderDeviceId,
    leader_url: state.leaderUrl,
    epoch: state.epoch,
    lease_expires_in_ms: Math.max(0, Math.round(state.leaseEndsAt - clock.monotonic())),
    is_self: mayWrite(state, clock),
  };
}

/** The devices from here to who leads, for a copy that asks whether it follows itself. */
async function readChain(
  { following }: Service,
  { id, leaderDeviceId }: LibraryState,
  through: readonly string[],
): Promise<readonly string[]> {
  const follower = following.find(id);
  if (follower !== undefined) return chainOf(follower, through);
  return leaderDeviceId === null ? [] : [leaderDeviceId];
}

/** Creating, listing, reading and deleting libraries, who leads them, and revoking tokens. */
export function libraryRoutes(service: Service): Hono<AppEnv> {
  const { catalog, clock } = service;
  const body = bodyLimits(service);
  return new Hono<AppEnv>()
    .post("/v1/libraries", async (c) => {
      const capability = await authenticate(c, service);
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      const { id, name, description } = parse(librarySchema, await readBody(c.req.raw, body));
      const library = await catalog.create({
        name,
        description: description ?? null,
        ...(id === undefined ? {} : { id }),
      });
      const about = { library_id: library.state.id, by: capability.subject };
      service.telemetry.log("info", "A library was created.", about);
      return answer(c.req.raw, describe(library.state), { status: 201 });
    })
    .get("/v1/libraries", async (c) => {
      const capability = await authenticate(c, service);
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      const limit = readLimit(c, service);
      const { page, nextCursor } = toPage(await catalog.list(readAfter(c), limit + 1), limit);
      return answer(c.req.raw, { libraries: page.map(describe), next_cursor: nextCursor });
    })
    .get("/v1/libraries/:library", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      return answer(c.req.raw, describe(library.state));
    })
    .delete("/v1/libraries/:library", async (c) => {
      const capability = await authenticate(c, service);
      const id = c.req.param("library").toLowerCase();
      requireGrant(capability, { library: id, role: "owner" });
      await service.following.forget(id);
      await catalog.remove(id);
      const about = { library_id: id, by: capability.subject };
      service.telemetry.log("info", "A library was deleted.", about);
      return c.body(null, 204);
    })
    .get("/v1/libraries/:library/leader", async (c) => {
      await authenticate(c, service);
      const { state } = await openFor(c, service, { role: "reader" });
      const through = c.req.queries("through");
      const chain =
        through === undefined ? {} : { chain: await readChain(service, state, through) };
      return answer(c.req.raw, { ...describeLeader(state, clock), ...chain });
    })
    .post("/v1/libraries/:library/leader/release", async (c) => {
      await authenticate(c, service);
      const { state, leadership } = await openFor(c, service, { role: "owner" });
      await leadership.release();
      return answer(c.req.raw, describeLeader(state, clock));
    })
    .post("/v1/revocations", async (c) => {
      const capability = await authenticate(c, service);
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      const { kind, value } = parse(revocationSchema, await readBody(c.req.raw, body));
      const isToken = kind === "token" && value.split(".").length === 3;
      const id = isToken ? (await service.verifier.verify(value)).tokenId : value;
      await service.revocations.revoke({ kind, value: id });
      return c.body(null, 204);
    })
    .post("/v1/libraries/:library/stream-tickets", async (c) => {
      const capability = await authenticate(c, service);
      const { state } = await openFor(c, service, { role: "reader" });
      const { ticket, expiresIn } = service.tickets.issue({ capability, library: state.id });
      return answer(c.req.raw, { ticket, expires_in: expiresIn });
    });
}
