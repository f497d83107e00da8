import { renameKeys, toSnakeCase } from "../base/case.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** One complaint of a validator: where, as a dotted path in wire names, and what. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** A resource as clients see it: `id`, `version` and its fields in wire names. */
export type WireResource = { readonly id: string; readonly version: number } & Readonly<
  Record<string, unknown>
>;

/** Every way a request can fail, with the facts each failure carries. The code is the contract. */
export interface ErrorFacts {
  /** The body cannot be read as what its type and the route promise; `issues` says where. */
  invalid_body: { issues?: readonly Issue[]; index?: number };
  /** A record, or an input, that its schema refuses; `index` is its place in a batch or a bulk. */
  invalid_record: { issues: readonly Issue[]; index?: number };
  unauthorized: { reason: string };
  forbidden: { reason: string };
  not_found: { what: string; index?: number };
  unknown_resource_type: { resourceType: string; index?: number };
  already_exists: { current: WireResource | null; index?: number };
  /** The record has moved on since `expectedVersion`; `current` is null when it was deleted. */
  version_conflict: {
    current: WireResource | null;
    expectedVersion: number;
    conflictId?: string;
    index?: number;
  };
  /** The commit was prepared under a lease that has since been lost. */
  stale_epoch: { epoch: number; currentEpoch: number };
  /** The mutation id was used before, for other content. */
  mutation_reused: { mutationId: string };
  /** The cursor points before the oldest entry the sync log still keeps. */
  cursor_expired: { oldestSequence: number; head: number };
  history_changed: { historyId: string; head: number };
  body_too_large: { limitBytes: number };
  not_leader: { leaderUrl: string | null; epoch: number };
  protocol_too_old: { protocol: number };
  rate_limited: { retryAfterSeconds: number };
  overloaded: { retryAfterSeconds: number };
  database_unavailable: { retryAfterSeconds: number };
  internal: { requestId: string };
}

export type ErrorCode = keyof ErrorFacts;

/** What a client should do next: nothing, wait, ask the leader, or start from a snapshot. */
export type Retry = "never" | "later" | "leader" | "snapshot";

export const errorTable: Readonly<
  Record<ErrorCode, { status: number; retry: Retry; title: string }>
> = {
  invalid_body: { status: 400, retry: "never", title: "The request cannot be read" },
  invalid_record: { status: 422, retry: "never", title: "The record is not valid" },
  unauthorized: { status: 401, retry: "never", title: "A valid token is needed" },
  forbidden: { status: 403, retry: "never", title: "The token does not allow this" },
  not_found: { status: 404, retry: "never", title: "Not found" },
  unknown_resource_type: { status: 422, retry: "never", title: "No such resource type" },
  already_exists: { status: 409, retry: "never", title: "It already exists" },
  version_conflict: { status: 409, retry: "never", title: "The record has changed since" },
  stale_epoch: { status: 409, retry: "later", title: "The lease has moved to a newer epoch" },
  mutation_reused: {
    status: 409,
    retry: "never",
    title: "The mutation id was used for other content",
  },
  cursor_expired: { status: 410, retry: "snapshot", title: "The cursor has expired" },
  history_changed: { status: 410, retry: "snapshot", title: "The library has another history" },
  body_too_large: { status: 413, retry: "never", title: "The body is too large" },
  not_leader: { status: 421, retry: "leader", title: "This node does not lead the library" },
  protocol_too_old: { status: 426, retry: "never", title: "The client must be updated" },
  rate_limited: { status: 429, retry: "later", title: "Too many requests" },
  overloaded: { status: 503, retry: "later", title: "The service is busy" },
  database_unavailable: { status: 503, retry: "later", title: "The database does not answer" },
  internal: { status: 500, retry: "later", title: "Something went wrong" },
};

/** What is wrong, and where; a misspelled field is two issues, and the second one names it. */
function describe(facts: ErrorFacts[ErrorCode]): string | null {
  if ("what" in facts) return `There is no ${facts.what}.`;
  const issues = ("issues" in facts ? facts.issues : null) ?? [];
  if (issues.length === 0) return null;
  const told = issues
    .slice(0, 3)
    .map(({ path, message }) => (path ? `${path}: ${message}` : message));
  return told.join("; ");
}

/** The one error class. `code` decides, `facts` inform, `message` is for people. */
export class SyncError<Code extends ErrorCode = ErrorCode> extends Error {
  readonly code: Code;
  readonly facts: ErrorFacts[Code];

  /** `detail` tells a person what happened and what to do; `cause` keeps what was caught. */
  constructor(
    code: Code,
    facts: ErrorFacts[Code],
    options: { detail?: string; cause?: unknown } = {},
  ) {
    super(options.detail ?? describe(facts) ?? errorTable[code].title, {
      cause: options.cause,
    });
    this.name = "SyncError";
    this.code = code;
    this.facts = facts;
  }
}

/** Narrows to a `SyncError`, and to the facts of `code` when one is given. */
export function isSyncError<Code extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: Code,
): error is SyncError<Code> {
  return error instanceof SyncError && (code === undefined || error.code === code);
}

/** An RFC 9457 problem: the standard members, `code`, `retry` and the facts of that code. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly retry: Retry;
  readonly instance?: string;
  readonly [fact: string]: unknown;
}

/** The error as it crosses the wire. `instance` names the request it answers. */
export function toProblem(error: SyncError, instance?: string): Problem {
  const { status, retry, title } = errorTable[error.code];
  return {
    type: `urn:syncline:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    retry,
    ...(instance === undefined ? {} : { instance }),
    ...renameKeys({ ...error.facts }, toSnakeCase),
  };
}

/** The same error, told of the change at `index` of a batch or a bulk. */
export function withIndex(error: SyncError, index: number): SyncError {
  return new SyncError(
    error.code,
    { ...error.facts, index },
    { detail: error.message, cause: error },
  );
}

/** The error as a caller may know it; one that nobody foresaw is logged, and told by its request id. */
export function toKnown(
  error: unknown,
  telemetry: Telemetry,
  told: { readonly message: string; readonly requestId: string; readonly path?: string },
): SyncError {
  if (isSyncError(error)) return error;
  const { message, requestId, ...facts } = told;
  telemetry.log("error", message, { request_id: requestId, ...facts, error });
  return new SyncError("internal", { requestId });
}
