import * as v from "valibot";
import { nameOf, uuid } from "./text.ts";

/** A device names itself; ids are UUIDs where we mint them, but any short text is one. */
const deviceId = v.pipe(
  v.string(),
  v.regex(/^[\w.:-]{1,128}$/, "Letters, digits and . : - _ only."),
);
const deviceName = nameOf(200);
/** Paths are put behind it, and it is told in answers and events. */
const url = v.pipe(
  v.string(),
  v.url(),
  v.regex(/^https?:\/\//, "An http:// or https:// address."),
  v.regex(/^[^@?#]*$/, "An address without a password, query or fragment."),
);
const sequence = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const deviceSchema = v.object({
  id: deviceId,
  name: v.optional(deviceName),
  public_key: v.nullish(v.pipe(v.string(), v.maxLength(200))),
});
export const positionSchema = v.object({
  device_id: deviceId,
  sequence,
  epoch: v.optional(sequence, 0),
});
export const followSchema = v.object({
  library_id: uuid,
  url,
  token: v.pipe(v.string(), v.nonEmpty(), v.maxLength(16_384)),
});
export const resumeSchema = v.strictObject({ accept_history: v.optional(v.boolean(), false) });
export const pairSchema = v.strictObject({
  library_id: v.optional(uuid),
  role: v.optional(v.picklist(["reader", "writer", "owner"]), "writer"),
  /** An owner lets the device in by hand, once it has proven its key. */
  needs_approval: v.optional(v.boolean(), false),
});
export const decideSchema = v.strictObject({ approve: v.boolean() });
export const joinSchema = v.object({
  code: v.pipe(v.string(), v.maxLength(64)),
  device: v.object({
    id: deviceId,
    name: deviceName,
    public_key: v.pipe(v.string(), v.maxLength(200)),
  }),
});
export const confirmSchema = v.object({
  device_id: deviceId,
  signature: v.pipe(v.string(), v.maxLength(200)),
});
export const setupSchema = v.object({
  local_library_id: uuid,
  remote_library_id: uuid,
  remote_url: url,
  remote_token: v.optional(v.pipe(v.string(), v.maxLength(16_384))),
  action: v.object({
    type: v.picklist(["RegisterOnly", "MergeIntoLocal", "MergeIntoRemote", "CreateShared"]),
    name: v.optional(nameOf(200)),
  }),
  leader_device_id: deviceId,
});
/** Records of another library, as `snapshot?rows=1` gives them. */
export const mergeSchema = v.object({
  lines: v.pipe(
    v.array(
      v.object({
        resource_type: v.string(),
        resource: v.optional(v.looseObject({ id: uuid, version: sequence })),
        origin: v.optional(
          v.object({ device_id: v.string(), created_at: v.number(), updated_at: v.number() }),
        ),
        deleted: v.optional(uuid),
        version: v.optional(sequence),
      }),
    ),
    v.maxLength(1_000),
  ),
});
export const handOverSchema = v.object({
  into: uuid,
  head: sequence,
  history_id: v.string(),
  leader: v.nullish(
    v.object({ url, token: v.pipe(v.string(), v.nonEmpty(), v.maxLength(16_384)) }),
  ),
});
