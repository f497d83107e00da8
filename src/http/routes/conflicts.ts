import { Hono } from "hono";
import { requireGrant } from "../../auth/capability.ts";
import { findConflict, listConflicts } from "../../commit/conflicts.ts";
import type { OpenConflict } from "../../commit/conflicts.ts";
import { resolveSchema } from "../../protocol/commit.ts";
import type { Service } from "../../service.ts";
import { answer, readBody } from "../body.ts";
import {
  authenticate,
  authorOf,
  bodyLimits,
  openFor,
  parse,
  readAfter,
  readLimit,
  toPage,
  visibleTypes,
} from "../context.ts";
import type { AppEnv } from "../context.ts";

function describe(conflict: OpenConflict) {
  return {
    id: conflict.id,
    resource_type: conflict.resourceType,
    resource_id: conflict.recordId,
    device_id: conflict.deviceId,
    expected_version: conflict.expectedVersion,
    current_version: conflict.currentVersion,
    operation: conflict.operation,
    data: conflict.data,
    base: conflict.base,
    created_at: new Date(conflict.createdAt).toISOString(),
  };
}

/** Late changes of `manual` resources: which wait, and what a person decides (CONF-12). */
export function conflictRoutes(service: Service): Hono<AppEnv> {
  const body = bodyLimits(service);
  return new Hono<AppEnv>()
    .get("/v1/libraries/:library/conflicts", async (c) => {
      await authenticate(c, service);
      const library = await openFor(c, service, { role: "reader" });
      const limit = readLimit(c, service);
      const types = visibleTypes(c, service, library.state.id);
      const found = await listConflicts(library.database, readAfter(c), limit + 1);
      const { page, nextCursor } = toPage(found, limit);
      const conflicts = page.filter((one) => types === null || types.has(one.resourceType));
      return answer(c.req.raw, { conflicts: conflicts.map(describe), next_cursor: nextCursor });
    })
    .post("/v1/libraries/:library/conflicts/:id/resolve", async (c) => {
      const { subject: by } = await authenticate(c, service);
      const library = await openFor(c, service, { role: "writer" });
      const id = c.req.param("id").toLowerCase();
      const resolution = parse(resolveSchema, await readBody(c.req.raw, body));
      const { resourceType: type } = await findConflict(library.database, id);
      requireGrant(c.get("capability"), { library: library.state.id, role: "writer", type });
      const author = await authorOf(c, library);
      const receipt = await library.manager.resolveConflict(id, resolution, author);
      const { choice } = resolution;
      const about = {
        library_id: library.state.id,
        conflict_id: id,
        resource_type: type,
        choice,
        by,
      };
      service.telemetry.log("info", "A conflict was resolved.", about);
      return answer(c.req.raw, {
        id,
        choice,
        sequence: receipt.lastSequence,
        epoch: receipt.epoch,
        transaction_id: receipt.transactionId,
        resource: receipt.resources[0] ?? null,
      });
    });
}
