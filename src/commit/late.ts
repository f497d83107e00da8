import { createId } from "../base/id.ts";
import { SyncError } from "../protocol/errors.ts";
import { toWireResource } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import { mergeFields } from "../resource/conflict.ts";
import type { Author, Change } from "./change.ts";
import { validateRecord } from "./validate.ts";

/** A late change of a `manual` resource: stored, so that a person can decide. */
export interface StoredConflict {
  readonly id: string;
  readonly change: Change;
  readonly currentVersion: number;
  readonly author: Author;
}

/** Which version was met, which was expected, and what to do about it. */
function tellConflict({ resource, id, expectedVersion }: Change, row: Row | null): string {
  const what = `${resource.type} ${id}`;
  const is = row === null ? "is not there" : `has version ${String(row["version"])}`;
  return `${what} ${is}, and the change was made to version ${expectedVersion ?? 0}; read it and decide again.`;
}

/** Raised through a plan when a change must wait for a person; the caller sees a version conflict. */
class ManualConflict extends SyncError<"version_conflict"> {
  readonly stored: StoredConflict;
  constructor(stored: StoredConflict, row: Row) {
    const { id: conflictId, change } = stored;
    const current = toWireResource(change.resource, row);
    const detail = `${tellConflict(change, row)} Meanwhile it waits for a person as conflict ${conflictId}.`;
    const expectedVersion = change.expectedVersion ?? 0;
    super("version_conflict", { current, expectedVersion, conflictId }, { detail });
    this.stored = stored;
  }
}

/** The conflict that a refusal leaves to a person, also where it tells of its place in a batch. */
export function leftBy(error: SyncError): StoredConflict | null {
  return (
    [error, error.cause].find((one): one is ManualConflict => one instanceof ManualConflict)
      ?.stored ?? null
  );
}

export function conflictOf(change: Change, row: Row | null): SyncError {
  const current = row === null ? null : toWireResource(change.resource, row);
  const facts = { current, expectedVersion: change.expectedVersion ?? 0 };
  return new SyncError("version_conflict", facts, { detail: tellConflict(change, row) });
}

type Fields = Readonly<Record<string, unknown>>;

/** The fields that travel, with their names in TypeScript: a copy, so that nobody changes ours. */
function toCopy({ synced }: CompiledResource, row: Fields): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const { key, name } of synced) copy[key] = structuredClone(row[name] ?? null);
  return copy;
}

/** What the resource's own function makes of three whole and valid records. @throws Error for a bug in it */
function mergeByFunction(
  resource: CompiledResource,
  current: Row,
  { base, fields }: { readonly base: Fields; readonly fields: Fields },
): Fields {
  const { type, synced, mergeRecords } = resource;
  if (mergeRecords === null) return {};
  const seen: Row = {};
  for (const { name } of synced) {
    const value = Object.hasOwn(base, name) ? base[name] : current[name];
    if (value !== null && value !== undefined) seen[name] = value;
  }
  const sides = [
    validateRecord(resource, seen),
    current,
    validateRecord(resource, { ...seen, ...fields }),
  ].map((side) => toCopy(resource, side)) as [Fields, Fields, Fields];
  const made: unknown = mergeRecords(...sides);
  if (typeof made !== "object" || made === null || made instanceof Promise) {
    throw new Error(`Resource "${type}": merge must answer fields, at once.`);
  }
  const merged: Row = {};
  for (const { key, name } of synced) {
    if (Object.hasOwn(made, key)) merged[name] = (made as Fields)[key];
  }
  return merged;
}

/** Applies the resource's conflict rule to a change that was made against an older version. */
export function resolveLate(change: Change, row: Row, author: Author): Change {
  const { resource, base, fields } = change;
  const rule = resource.conflict;
  if (rule === "last-write-wins") return change;
  if (rule === "merge") {
    if (base === null || change.operation === "delete") return change;
    const late = { base, fields };
    const merged = {
      ...mergeFields(row, late, resource.fieldMerges),
      ...mergeByFunction(resource, row, late),
    };
    return { ...change, operation: "update", fields: merged };
  }
  if (rule === "reject") throw conflictOf(change, row);
  const stored = { id: createId(), change, currentVersion: row["version"] as number, author };
  throw new ManualConflict(stored, row);
}
