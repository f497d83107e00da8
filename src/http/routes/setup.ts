import { Hono } from "hono";
import { allows, requireGrant, SERVICE_WIDE } from "../../auth/capability.ts";
import type { Grant, Role } from "../../auth/capability.ts";
import { renameKeys, toSnakeCase } from "../../base/case.ts";
import type { SnapshotLine } from "../../follower/upstream.ts";
import { registerDevice } from "../../library/device.ts";
import { describeLibraries, discoverRemote } from "../../library/discovery.ts";
import { FOLLOWS, handOver } from "../../library/hand-over.ts";
import type { Job } from "../../library/job.ts";
import { assertLeading } from "../../library/leadership.ts";
import { mergeLines } from "../../library/merge.ts";
import { createPairing } from "../../library/pairing.ts";
import type { Pairing } from "../../library/pairing.ts";
import { SyncError } from "../../protocol/errors.ts";
import {
  confirmSchema,
  decideSchema,
  handOverSchema,
  joinSchema,
  mergeSchema,
  pairSchema,
  setupSchema,
} from "../../protocol/setup.ts";
import type { Service } from "../../service.ts";
import { answer, readBody, readOptionalBody } from "../body.ts";
import { authenticate, bodyLimits, openFor, parse } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

const TOKEN_SECONDS = 90 * 86_400;
/** A page of a merge: 200 records as large as they may be. */
const MERGE_BYTES = 67_108_864;

function invalid(path: string, message: string): SyncError {
  return new SyncError("invalid_body", { issues: [{ path, message }] });
}

/** What the other service gave the caller. The caller's own token is nothing to show around. */
function remoteToken(c: AppContext, named?: string): string {
  const token = named ?? c.req.header("x-remote-token");
  if (token !== undefined && token !== "") return token;
  throw invalid(
    "x-remote-token",
    "Pass the other service's token as X-Remote-Token: pair with it to get one. Your own is not sent there.",
  );
}

/** Devices that have proven themselves, for an owner to let in. */
function approvalRoutes(service: Service, pairing: Pairing): Hono<AppEnv> {
  const small = bodyLimits(service);
  return new Hono<AppEnv>()
    .get("/v1/pairing/requests", async (c) => {
      const capability = await authenticate(c, service);
      const isOwner = ({ library }: Grant) => allows(capability, { library, role: "owner" });
      const requests = pairing
        .waiting()
        .filter(({ grants }) => grants.every(isOwner))
        .map(({ requestId: id, device, grants, expiresIn }) => ({
          id,
          device: renameKeys({ ...device }, toSnakeCase),
          grants,
          expires_in: expiresIn,
        }));
      return answer(c.req.raw, { requests });
    })
    .post("/v1/pairing/requests/:request", async (c) => {
      const capability = await authenticate(c, service);
      const { approve } = parse(decideSchema, await readBody(c.req.raw, small));
      const id = c.req.param("request").toLowerCase();
      const asked = pairing.waiting().find(({ requestId }) => requestId === id);
      for (const { library } of asked?.grants ?? []) {
        requireGrant(capability, { library, role: "owner" });
      }
      pairing.decide(id, approve);
      const about = { device_id: asked?.device.id, approve, by: capability.subject };
      service.telemetry.log("info", "An owner decided on a device.", about);
      return answer(c.req.raw, { id, approved: approve });
    });
}

function pairingRoutes(service: Service): Hono<AppEnv> {
  const { clock, catalog, limits, mint } = service;
  const small = bodyLimits(service);
  const pairing = createPairing({ clock });
  return new Hono<AppEnv>()
    .post("/v1/pairing/codes", async (c) => {
      const capability = await authenticate(c, service);
      const given = await readOptionalBody(c.req.raw, small);
      const { library_id, role, needs_approval } = parse(pairSchema, given);
      const library = library_id ?? SERVICE_WIDE;
      requireGrant(capability, { library, role: "owner" });
      if (mint === null) {
        const detail = "This service checks tokens of another issuer and cannot make any.";
        throw new SyncError("forbidden", { reason: "no_secret" }, { detail });
      }
      const { code, expiresIn } = pairing.createCode([{ library, role }], needs_approval);
      return answer(c.req.raw, { code, expires_in: expiresIn });
    })
    .post("/v1/pairing/join", async (c) => {
      const { code, device } = parse(joinSchema, await readBody(c.req.raw, small));
      const { id, name, public_key: publicKey } = device;
      return answer(c.req.raw, { ...(await pairing.join(code, { id, name, publicKey })) });
    })
    .post("/v1/pairing/confirm", async (c) => {
      const { device_id, signature } = parse(confirmSchema, await readBody(c.req.raw, small));
      const paired = await pairing.confirm(device_id, signature);
      if (paired === null) {
        const headers = { "retry-after": "2" };
        return answer(c.req.raw, { status: "waiting" }, { status: 202, headers });
      }
      const { device, grants } = paired;
      const bounds = { now: clock.now(), devicesMax: limits.devicesPerLibrary };
      for (const { library } of grants) {
        if (library === SERVICE_WIDE) continue;
        await catalog.use(library, async ({ database, roll }) => {
          await registerDevice(database, device, bounds);
          roll.changed();
        });
      }
      await registerDevice(catalog.database, device, bounds);
      const token = await mint?.({
        subject: device.id,
        grants: [...grants],
        ttlSeconds: TOKEN_SECONDS,
      });
      service.telemetry.log("info", "A device was paired.", { device_id: device.id, grants });
      return answer(c.req.raw, { token: token ?? null });
    })
    .route("/", approvalRoutes(service, pairing));
}

/** Discovering another service, joining a library of ours with one of its own, and how that goes. */
function joinRoutes(service: Service): Hono<AppEnv> {
  const { catalog, registry, lease, setup } = service;
  const small = bodyLimits(service);
  const own = { device_id: lease.deviceId, device_name: lease.nodeUrl ?? lease.deviceId };

  return new Hono<AppEnv>()
    .get("/v1/sync-setup/discover", async (c) => {
      const capability = await authenticate(c, service);
      const url = c.req.query("device_url");
      if (url === undefined) {
        const wanted = c.req.query("library_id")?.toLowerCase();
        const isVisible = (library: string) =>
          (wanted ?? library) === library && allows(capability, { library, role: "reader" });
        const libraries = await describeLibraries(catalog, registry, isVisible);
        return answer(c.req.raw, { ...own, is_online: true, libraries });
      }
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      if (!/^https?:\/\/[^/]/.test(url))
        throw invalid("device_url", "An http:// or https:// address.");
      const offline = { device_id: null, device_name: url, is_online: false, libraries: [] };
      const remote = { url: url.replace(/\/+$/, ""), token: remoteToken(c) };
      return answer(c.req.raw, (await discoverRemote(service.fetch, remote))?.body ?? offline);
    })
    .post("/v1/sync-setup", async (c) => {
      const capability = await authenticate(c, service);
      const asked = parse(setupSchema, await readBody(c.req.raw, small));
      const { type } = asked.action;
      const local = asked.local_library_id;
      const remote = asked.remote_library_id;
      // It makes this service call an address, which only its operator may choose.
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      await catalog.use(local, async (library) => {
        if (type !== "RegisterOnly" && !library.state.isReplica) await assertLeading(library);
      });
      const remoteUrl = asked.remote_url.replace(/\/+$/, "");
      const { isRegistered, job } = await setup.begin({
        action: type,
        name: asked.action.name ?? null,
        localLibraryId: local,
        remoteLibraryId: remote,
        remoteUrl,
        remoteToken: remoteToken(c, asked.remote_token),
        localUrl: lease.nodeUrl ?? new URL(c.req.url).origin,
        leaderDeviceId: asked.leader_device_id,
      });
      return answer(c.req.raw, {
        success: isRegistered,
        local_library_id: local,
        remote_library_id: remote,
        devices_registered: isRegistered,
        pending_remote: !isRegistered,
        ...(job === null ? {} : { job_id: job.id }),
        message: isRegistered
          ? "Devices successfully registered for library access"
          : `${remoteUrl} does not answer; it is tried again in the background.`,
      });
    })
    .get("/v1/jobs/:job", async (c) => answerJob(c, await findJob(c, service, "reader")))
    .delete("/v1/jobs/:job", async (c) => {
      const job = await findJob(c, service, "owner");
      return answerJob(c, await setup.cancel(job));
    });
}

/** The job of the path, for whoever may do this in its library. @throws not_found, forbidden */
async function findJob(c: AppContext, service: Service, role: Role): Promise<Job> {
  const capability = await authenticate(c, service);
  const named = c.req.param("job") ?? "";
  const job = await service.setup.find(named.toLowerCase());
  if (job === null) {
    const detail = `There is no job ${named}: it was never begun, or is long over.`;
    throw new SyncError("not_found", { what: `job ${named}` }, { detail });
  }
  requireGrant(capability, { library: job.libraryId, role });
  return job;
}

function answerJob(c: AppContext, { id, ...job }: Job): Response {
  return answer(c.req.raw, { job_id: id, ...renameKeys(job, toSnakeCase) });
}

/** What the service of the other library asks of this one, on behalf of its job. */
function mergeRoutes(service: Service): Hono<AppEnv> {
  const small = bodyLimits(service);
  const large = bodyLimits(service, MERGE_BYTES);
  return new Hono<AppEnv>()
    .post("/v1/libraries/:library/merge", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "owner" });
      if (library.state.isReplica) {
        throw new SyncError("forbidden", { reason: "follows" }, { detail: FOLLOWS });
      }
      const { lines } = parse(mergeSchema, await readBody(c.req.raw, large));
      const receipt = await mergeLines(library, service, lines as SnapshotLine[]);
      return answer(c.req.raw, { merged_count: receipt.mergedCount, refused: receipt.refused });
    })
    .post("/v1/libraries/:library/hand-over", async (c) => {
      const capability = await authenticate(c, service);
      requireGrant(capability, { library: SERVICE_WIDE, role: "owner" });
      const { into, head, history_id, leader } = parse(
        handOverSchema,
        await readBody(c.req.raw, small),
      );
      const libraryId = (c.req.param("library") ?? "").toLowerCase();
      const order = {
        into,
        head,
        historyId: history_id,
        leader: leader ?? null,
      };
      return answer(c.req.raw, { is_done: await handOver(service, libraryId, order) });
    });
}

/** Pairing, discovery, sync setup and its jobs. */
export function setupRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .route("/", pairingRoutes(service))
    .route("/", joinRoutes(service))
    .route("/", mergeRoutes(service));
}
