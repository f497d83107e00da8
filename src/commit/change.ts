import type { WireResource } from "../protocol/errors.ts";
import type { Span } from "../telemetry/telemetry.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { Statement } from "../store/database.ts";
import type { Place } from "./line.ts";

export type Operation = "insert" | "update" | "upsert" | "delete";
export type BatchOperation = "Index" | "Update" | "WatcherBatch";
type Fields = Readonly<Record<string, unknown>>;

/** What a record is, or the version at which it was deleted (0: never was), for a change to depend on. */
export type Condition = (record: {
  readonly row: Row | null;
  readonly tombstone: number;
}) => boolean;

/** One change as a client asks for it, in wire names. */
export interface ChangeRequest {
  readonly resource_type: string;
  readonly operation: Operation;
  readonly id: string;
  readonly data?: Fields | undefined;
  readonly expected_version?: number | undefined;
  readonly base?: Fields | undefined;
  /** The version it had elsewhere: the record gets at least this one. Not for clients. */
  readonly floor?: number | undefined;
  /** Asked over the record as it stands when its turn comes: else nothing changes. Not for clients. */
  readonly holds?: Condition | undefined;
}

/** A change whose resource is known; `fields` are valid for inserts and upserts, a patch for updates. */
export interface Change {
  readonly resource: CompiledResource;
  readonly operation: Operation;
  readonly id: string;
  readonly fields: Fields;
  readonly expectedVersion: number | null;
  readonly base: Fields | null;
  /** Approximate bytes of what was sent. */
  readonly bytes: number;
  readonly floor?: number | undefined;
  readonly holds?: Condition | undefined;
}

/** Who writes. */
export interface Author {
  readonly deviceId: string;
  /** True when the device was named, so that it answers for rows of domain `index` (DOM-04). */
  readonly isDevice: boolean;
  /** The request it writes in, which the span of the transaction names. */
  readonly span?: Span | undefined;
}

/** What one caller wants committed together. */
export interface Submission {
  readonly changes: readonly Change[];
  readonly author: Author;
  readonly mutationId: string | null;
  /** Tells a replay from another use of the same mutation id; empty without one. */
  readonly fingerprint: string;
  readonly operation: BatchOperation | null;
  /** Whether a refusal is the lasting answer of the mutation id. */
  readonly keepsRefusal: boolean;
  /** What an action answers beside its records. */
  readonly output?: unknown;
  /** Where it stands in the line it was sent in. */
  readonly place?: Place | undefined;
  /** What else must be true once it is committed, in the same transaction. */
  readonly also?: readonly Statement[];
  /** Approximate bytes, for the bounds of queue and group. */
  readonly bytes: number;
}

/** What became of a submission. Sequences are null when nothing changed. */
export interface Receipt {
  readonly firstSequence: number | null;
  readonly lastSequence: number | null;
  readonly epoch: number;
  readonly transactionId: string;
  readonly replayed: boolean;
  /** One a change, in the order asked; null for deletes. */
  readonly resources: readonly (WireResource | null)[];
  readonly output?: unknown;
}
