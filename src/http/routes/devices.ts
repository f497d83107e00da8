import { Hono } from "hono";
import { allows, nodeSubject, requireGrant } from "../../auth/capability.ts";
import type { Capability } from "../../auth/capability.ts";
import {
  acknowledge,
  listDevices,
  listPositions,
  readDevice,
  registerDevice,
  revokeDevice,
} from "../../library/device.ts";
import type { Device } from "../../library/device.ts";
import { SyncError } from "../../protocol/errors.ts";
import { deviceSchema, positionSchema } from "../../protocol/setup.ts";
import type { Service } from "../../service.ts";
import type { Database } from "../../store/database.ts";
import { answer, readBody } from "../body.ts";
import {
  assertActsAs,
  authenticate,
  bodyLimits,
  historyChanged,
  isBeyondHead,
  openFor,
  parse,
} from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

const toTime = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

function describe(device: Device) {
  return {
    id: device.id,
    name: device.name,
    public_key: device.publicKey,
    created_at: toTime(device.createdAt),
    seen_at: toTime(device.seenAt),
    revoked_at: toTime(device.revokedAt),
    sequence: device.sequence,
  };
}

/** A device speaks for itself; for others only an owner does. @throws forbidden */
function assertSelf(capability: Capability, libraryId: string, deviceId: string): void {
  if (capability.subject === deviceId) return;
  requireGrant(capability, { library: libraryId, role: "owner" });
}

/** A device that was put out does not let itself in again. @throws forbidden */
async function assertNotRevoked(database: Database, id: string): Promise<void> {
  const known = await readDevice(database, id).catch(() => null);
  if (known === null || known.revokedAt === null) return;
  const detail = `The device ${id} was revoked; an owner can register it again.`;
  throw new SyncError("forbidden", { reason: "device_revoked" }, { detail });
}

/** The devices of a library: who they are, who comes in, who is put out. */
function registrationRoutes(service: Service): Hono<AppEnv> {
  const { clock, limits } = service;
  const body = bodyLimits(service);

  const register = async (c: AppContext): Promise<Response> => {
    const capability = await authenticate(c, service);
    const { state, database, roll } = await openFor(c, service, { role: "reader" });
    const named = c.req.param("device");
    const { id, name, public_key } = parse(deviceSchema, {
      ...(named === undefined ? {} : { id: named }),
      ...((await readBody(c.req.raw, body)) as object),
    });
    if (named !== undefined && id !== named) {
      const issues = [{ path: "id", message: `The path names ${named}.` }];
      throw new SyncError("invalid_body", { issues });
    }
    assertSelf(capability, state.id, id);
    const isOwner = allows(capability, { library: state.id, role: "owner" });
    if (!isOwner) await assertNotRevoked(database, id);
    const device = { id, name: name ?? id, publicKey: public_key ?? null };
    const registered = await registerDevice(database, device, {
      now: clock.now(),
      devicesMax: limits.devicesPerLibrary,
    });
    roll.changed();
    const about = { library_id: state.id, device_id: id, by: capability.subject };
    service.telemetry.log("info", "A device was registered.", about);
    return answer(c.req.raw, describe(registered), { status: 201 });
  };

  return new Hono<AppEnv>()
    .get("/v1/libraries/:library/devices", async (c) => {
      await authenticate(c, service);
      const { database } = await openFor(c, service, { role: "reader" });
      return answer(c.req.raw, { devices: (await listDevices(database)).map(describe) });
    })
    .get("/v1/libraries/:library/devices/:device", async (c) => {
      await authenticate(c, service);
      const { database } = await openFor(c, service, { role: "reader" });
      return answer(c.req.raw, describe(await readDevice(database, c.req.param("device"))));
    })
    .post("/v1/libraries/:library/devices", register)
    .post("/v1/libraries/:library/devices/:device", register)
    .delete("/v1/libraries/:library/devices/:device", async (c) => {
      const { subject: by } = await authenticate(c, service);
      const { state, database, hub, roll } = await openFor(c, service, { role: "owner" });
      const id = c.req.param("device");
      await revokeDevice(database, id, clock.now());
      roll.changed();
      for (const value of [id, nodeSubject(id)]) {
        await service.revocations.revoke({ kind: "subject", value });
      }
      hub.sweep();
      const about = { library_id: state.id, device_id: id, by };
      service.telemetry.log("info", "A device was revoked.", about);
      return c.body(null, 204);
    });
}

/** How far each device is, as it acknowledges. */
function positionRoutes(service: Service): Hono<AppEnv> {
  const { clock } = service;
  const body = bodyLimits(service);
  return new Hono<AppEnv>()
    .get("/v1/libraries/:library/positions", async (c) => {
      await authenticate(c, service);
      const { state, database } = await openFor(c, service, { role: "reader" });
      const positions = (await listPositions(database)).map((position) => ({
        device_id: position.deviceId,
        sequence: position.sequence,
        epoch: position.epoch,
        updated_at: toTime(position.updatedAt),
        lag: Math.max(0, state.head - position.sequence),
      }));
      return answer(c.req.raw, { positions, head: state.head });
    })
    .post("/v1/libraries/:library/positions", async (c) => {
      const capability = await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      const { state, database } = library;
      const { device_id, sequence, epoch } = parse(positionSchema, await readBody(c.req.raw, body));
      const isWriter = allows(capability, { library: state.id, role: "writer" });
      if (!isWriter) assertSelf(capability, state.id, device_id);
      await assertActsAs(c, library, device_id);
      if (await isBeyondHead(library, sequence)) {
        throw historyChanged(library);
      }
      await acknowledge(database, { deviceId: device_id, sequence, epoch }, clock.now());
      return answer(c.req.raw, {
        device_id,
        sequence,
        head: state.head,
        oldest_sequence: state.oldestSequence,
        // A device that is behind what the log keeps takes a snapshot (GAP-06).
        needs_snapshot: sequence < state.oldestSequence - 1,
      });
    });
}

/** The devices of a library, and how far each of them is. */
export function deviceRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .route("/", registrationRoutes(service))
    .route("/", positionRoutes(service));
}
