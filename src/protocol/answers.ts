/**
 * What each route answers (API.md). The service makes these shapes itself, so nothing is checked at run
 * time; every answer in the tests is held against them, and OpenAPI is written from them.
 *
 * @module
 */
import * as v from "valibot";
import { errorTable } from "./errors.ts";
import type { ErrorCode } from "./errors.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.string();
const time = v.pipe(v.string(), v.isoTimestamp());
const fields = v.record(v.string(), v.unknown());
const cursor = v.nullable(v.string());
const replayed = v.boolean();
/** Nothing changed: there is no sequence then. */
const unchanged = v.optional(v.literal(true));

export const problemSchema = v.looseObject({
  type: text,
  title: text,
  status: count,
  detail: text,
  code: v.picklist(Object.keys(errorTable) as ErrorCode[]),
  retry: v.picklist(["never", "later", "leader", "snapshot"]),
  instance: v.optional(text),
});
/** A record as it travels: its own fields stand beside these. */
export const resourceSchema = v.looseObject({ id: text, version: count });
const failed = v.array(v.object({ index: count, problem: problemSchema }));

export const librarySummary = v.object({
  id: text,
  name: text,
  description: v.nullable(text),
  history_id: text,
  head: count,
  epoch: count,
  leader_device_id: v.nullable(text),
  oldest_sequence: count,
  created_at: time,
});
export const libraryPage = v.object({ libraries: v.array(librarySummary), next_cursor: cursor });

/** A write that a replica keeps until its leader can be asked (`?queue=1`). */
export const queuedAnswer = v.object({ queued: v.literal(true), mutation_id: text });
export const commitAnswer = v.object({
  sequence: v.optional(count),
  unchanged,
  epoch: count,
  transaction_id: text,
  mutation_id: v.nullable(text),
  replayed,
  resource: v.nullable(resourceSchema),
});
const batchEntries = {
  first_sequence: v.nullable(count),
  last_sequence: v.nullable(count),
  epoch: count,
  transaction_id: text,
  replayed,
  resources: v.array(resourceSchema),
  unchanged,
};
export const batchAnswer = v.object({ ...batchEntries, failed: v.optional(failed) });
export const actionAnswer = v.object({ ...batchEntries, output: v.optional(v.unknown()) });
export const lineAnswer = v.object({
  answers: v.array(
    v.union([commitAnswer, actionAnswer, queuedAnswer, v.object({ problem: problemSchema })]),
  ),
  /** Why the line ended before its last mutation: those that have no answer are to be sent again. */
  stopped: v.optional(problemSchema),
});
export const bulkAnswer = v.object({
  token: text,
  state: v.picklist(["running", "complete", "interrupted"]),
  affected_count: count,
  failed_count: count,
  sequence: v.nullable(count),
  failures: failed,
  replayed,
});
export const mutationAnswer = v.object({
  state: v.picklist(["committed", "unknown"]),
  first_sequence: v.optional(count),
  sequence: v.optional(count),
  /** It was answered with a problem, and gets the same one whenever it is sent again. */
  refused: v.optional(v.literal(true)),
});

export const resourcePage = v.object({
  resources: v.array(resourceSchema),
  next_cursor: cursor,
  sequence: count,
});
export const queryAnswer = v.object({
  /** Ids in their order, or values. */
  data: v.array(v.unknown()),
  included: v.record(v.string(), v.array(resourceSchema)),
  cache: v.object({
    resources: v.record(v.string(), v.array(v.unknown())),
    scopes: v.array(text),
    ttl_seconds: v.number(),
    invalidation: v.union([v.literal("manual"), v.object({ on_resource_change: v.array(text) })]),
  }),
  meta: v.object({
    sequence: count,
    execution_time_ms: v.number(),
    query_id: text,
    /** It has as many as its query answers at once: more may come behind them. */
    has_more: v.boolean(),
  }),
});
export const logPage = v.object({
  entries: v.array(
    v.object({
      sequence: count,
      epoch: count,
      transaction_id: text,
      device_id: text,
      mutation_id: v.nullable(text),
      timestamp: time,
      domain: text,
      model_type: text,
      record_id: text,
      change_type: v.picklist(["insert", "update", "delete", "bulk_insert"]),
      version: count,
      operation: v.nullable(text),
      data: v.nullable(fields),
    }),
  ),
  has_more: v.boolean(),
  next_after: count,
  head: count,
  oldest_sequence: count,
  epoch: count,
  history_id: text,
});
export const checksumAnswer = v.object({
  sequence: count,
  checksums: v.record(v.string(), v.object({ count, sum: count })),
});
/** One line of a snapshot. */
export const snapshotLine = v.union([
  v.object({ snapshot: v.object({ sequence: count, history_id: text, types: v.array(text) }) }),
  v.object({ resource_type: text, resource: resourceSchema }),
  v.object({ resource_type: text, deleted: text, version: count }),
  v.object({ end: v.object({ sequence: count, counts: v.record(v.string(), count) }) }),
]);
export const ticketAnswer = v.object({ ticket: text, expires_in: count });

const leader = { leader_device_id: v.nullable(text), leader_url: v.nullable(text), epoch: count };
export const leaderAnswer = v.object({
  ...leader,
  lease_expires_in_ms: count,
  is_self: v.boolean(),
  /** Where it was asked with `through`, as copies ask: the devices from here to who leads. */
  chain: v.optional(v.array(text)),
});
export const promotionAnswer = v.object({ ...leader, is_self: v.boolean() });

export const deviceAnswer = v.object({
  id: text,
  name: text,
  public_key: v.nullable(text),
  created_at: time,
  seen_at: time,
  revoked_at: v.nullable(time),
  sequence: v.nullable(count),
});
export const deviceList = v.object({ devices: v.array(deviceAnswer) });
export const positionAnswer = v.object({
  device_id: text,
  sequence: count,
  head: count,
  oldest_sequence: count,
  needs_snapshot: v.boolean(),
});
export const positionList = v.object({
  positions: v.array(
    v.object({ device_id: text, sequence: count, epoch: count, updated_at: time, lag: count }),
  ),
  head: count,
});

export const conflictPage = v.object({
  conflicts: v.array(
    v.object({
      id: text,
      resource_type: text,
      resource_id: text,
      device_id: text,
      expected_version: count,
      current_version: count,
      operation: text,
      data: v.nullable(fields),
      base: v.nullable(fields),
      created_at: time,
    }),
  ),
  next_cursor: cursor,
});
export const resolutionAnswer = v.object({
  id: text,
  choice: text,
  sequence: v.nullable(count),
  epoch: count,
  transaction_id: text,
  resource: v.nullable(resourceSchema),
});

const write = {
  mutation_id: text,
  path: text,
  created_at: time,
  problem: v.optional(problemSchema),
};
export const followerAnswer = v.object({
  state: text,
  reason: v.nullable(text),
  leader_url: text,
  head: count,
  leader_head: v.nullable(count),
  lag: v.nullable(count),
  repairs: count,
  waiting_count: count,
  waiting: v.array(v.object(write)),
  rejected_count: count,
  rejected: v.array(v.object(write)),
});

const grants = v.array(
  v.object({ library: text, role: v.picklist(["reader", "writer", "owner"]) }),
);
export const codeAnswer = v.object({ code: text, expires_in: count });
export const challengeAnswer = v.object({ challenge: text });
/** `token` is null where tokens are another issuer's to make; `status` while an owner has to decide. */
export const confirmAnswer = v.union([
  v.object({ token: v.nullable(text) }),
  v.object({ status: v.literal("waiting") }),
]);
export const pairingRequests = v.object({
  requests: v.array(
    v.object({
      id: text,
      device: v.object({ id: text, name: text, public_key: text }),
      grants,
      expires_in: count,
    }),
  ),
});
export const decisionAnswer = v.object({ id: text, approved: v.boolean() });
export const discoveryAnswer = v.object({
  device_id: v.nullable(text),
  device_name: text,
  is_online: v.boolean(),
  libraries: v.array(v.looseObject({ id: text, name: text })),
});
export const setupAnswer = v.object({
  success: v.boolean(),
  local_library_id: text,
  remote_library_id: text,
  devices_registered: v.boolean(),
  pending_remote: v.boolean(),
  job_id: v.optional(text),
  message: text,
});
export const jobAnswer = v.object({
  job_id: text,
  library_id: text,
  name: text,
  status: v.picklist(["running", "complete", "failed"]),
  progress: v.number(),
  message: text,
});
export const mergeAnswer = v.object({
  merged_count: count,
  refused: v.array(v.unknown()),
});
export const handOverAnswer = v.object({ is_done: v.boolean() });
export const healthAnswer = v.object({ status: v.literal("ok") });
export const readyAnswer = v.object({
  status: v.literal("ready"),
  halted: v.optional(v.array(v.object({ library: text, state: text, reason: v.nullable(text) }))),
});
