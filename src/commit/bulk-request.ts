import type { SyncError } from "../protocol/errors.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { BulkMode } from "./bulk-operation.ts";
import type { Author } from "./change.ts";

/** A record of the stream, or what was wrong with its bytes. */
export type BulkRecord = Readonly<Record<string, unknown>> | SyncError;

/** Records that arrived together, and how many bytes of the body brought them. */
export interface Arrival {
  readonly records: readonly BulkRecord[];
  readonly bytes: number;
}

export interface BulkRequest {
  readonly resource: CompiledResource;
  readonly mode: BulkMode;
  /** The caller's name for the operation; the same token continues it. */
  readonly token: string;
  readonly hints: Readonly<Record<string, unknown>>;
  readonly author: Author;
  /** `skip` counts a bad record and goes on; by default the first one ends the operation. */
  readonly onError: "stop" | "skip";
  /** The records, as many at a time as have arrived. */
  readonly arrivals: AsyncIterable<Arrival>;
}
