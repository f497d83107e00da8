import { hash48 } from "../base/hash.ts";
import { sizeOf } from "../base/size.ts";
import { SyncError, isSyncError, withIndex } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { Author, BatchOperation, Change, ChangeRequest, Submission } from "./change.ts";
import type { Place } from "./line.ts";
import { validateRecord } from "./validate.ts";

export interface CommitContext {
  readonly author: Author;
  readonly mutationId?: string | null;
  readonly place?: Place;
}

/** Who asks for a batch, and what kind of batch it is. */
export interface BatchContext extends CommitContext {
  readonly operation?: BatchOperation;
}

/** An escape has at most this many characters. */
const ESCAPE = 6;

/** Approximate bytes of a record. Only one near the limit is written out to be measured. @throws body_too_large */
function measure(data: Readonly<Record<string, unknown>>, limitBytes: number): number {
  const size = sizeOf(data);
  if (size * ESCAPE <= limitBytes) return size;
  const bytes = JSON.stringify(data).length;
  if (bytes <= limitBytes) return bytes;
  const detail = `The record has ${bytes} bytes; ${limitBytes} are allowed.`;
  throw new SyncError("body_too_large", { limitBytes }, { detail });
}

/** A record may be sent as it was read, under its own id only. @throws invalid_record */
function assertSameId(id: unknown, named: string): void {
  if (id === undefined || (typeof id === "string" && id.toLowerCase() === named)) return;
  const message = `The change names ${named}.`;
  throw new SyncError("invalid_record", { issues: [{ path: "id", message }] });
}

/** Names the resource, checks the record against its schema and its limits. */
export function toChange(request: ChangeRequest, registry: Registry, limits: Limits): Change {
  const resource = registry.resource(request.resource_type);
  const { id: given, version: _version, ...data } = request.data ?? {};
  const id = request.id.toLowerCase();
  assertSameId(given, id);
  const bytes = measure(data, limits.recordBytes);
  const isFull = request.operation === "insert" || request.operation === "upsert";
  return {
    resource,
    operation: request.operation,
    id,
    fields: isFull ? validateRecord(resource, data) : data,
    expectedVersion: request.expected_version ?? null,
    floor: request.floor,
    holds: request.holds,
    base: request.base ?? null,
    bytes,
  };
}

/** The changes of a batch. @throws what one of them is refused for, with its `index` */
export function toChanges(
  requests: readonly ChangeRequest[],
  registry: Registry,
  limits: Limits,
): Change[] {
  return requests.map((request, index) => {
    try {
      return toChange(request, registry, limits);
    } catch (error) {
      throw isSyncError(error) ? withIndex(error, index) : error;
    }
  });
}

/** The same with the members of each object in one order: equal content has one text. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  const members = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, inOrder(member)]));
}

/** What the committer takes: the changes, and what tells a replay of `source` from another use of its id. */
export function toSubmission(
  changes: readonly Change[],
  source: unknown,
  context: CommitContext & { readonly operation?: BatchOperation | null },
): Submission {
  // Only a mutation can be sent twice.
  const isMutation = typeof context.mutationId === "string";
  const text = isMutation ? JSON.stringify(inOrder(source)) : null;
  return {
    changes,
    author: context.author,
    mutationId: context.mutationId ?? null,
    fingerprint: text === null ? "" : `${hash48(text).toString(16)}-${text.length}`,
    operation: context.operation ?? null,
    keepsRefusal: true,
    place: context.place,
    bytes: changes.reduce((sum, { bytes }) => sum + bytes, 256),
  };
}
