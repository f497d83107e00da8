import { SyncError } from "../protocol/errors.ts";
import { toFields, toWireResource } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import { isEqualJson } from "../resource/conflict.ts";
import type { Author, Change } from "./change.ts";
import { conflictOf, resolveLate } from "./late.ts";
import { completeRow, validateRecord } from "./validate.ts";

/** A record as a transaction sees it: its row, or the version at which it was deleted (0: never was). */
export interface Slot {
  readonly resource: CompiledResource;
  readonly id: string;
  readonly row: Row | null;
  readonly tombstone: number;
}

/** The record a change asks for, or what it has become earlier in the same transaction. */
export type Lookup = (resource: CompiledResource, id: string) => Slot;

export interface Effect {
  readonly slot: Slot;
  readonly changeType: "insert" | "update" | "delete";
  readonly version: number;
}

/** A record that is not there and never was. */
export function absent(resource: CompiledResource, id: string): Slot {
  return { resource, id, row: null, tombstone: 0 };
}

export function slotKey(type: string, id: string): string {
  return `${type}\u0000${id}`;
}

function notFound(change: Change): SyncError {
  return new SyncError(
    "not_found",
    { what: `${change.resource.type} ${change.id}` },
    { detail: `There is no ${change.resource.type} with id ${change.id}.` },
  );
}

function assertOwner(change: Change, row: Row, author: Author): void {
  if (change.resource.domain !== "index" || !author.isDevice) return;
  if (row["origin_device_id"] === author.deviceId) return;
  throw new SyncError(
    "forbidden",
    { reason: "not_the_owner" },
    {
      detail: `Only the device ${String(row["origin_device_id"])} may change this ${change.resource.type}.`,
    },
  );
}

function write(
  change: Change,
  slot: Slot,
  context: { author: Author; now: number },
): Effect | null {
  const { resource, id } = change;
  const { row: current, tombstone } = slot;
  if (current === null) {
    const version = Math.max(tombstone + 1, change.floor ?? 0);
    const row = completeRow(resource, {
      ...change.fields,
      id,
      version,
      created_at: context.now,
      updated_at: context.now,
      origin_device_id: context.author.deviceId,
    });
    return { slot: { resource, id, row, tombstone: 0 }, changeType: "insert", version };
  }
  const version = Math.max((current["version"] as number) + 1, change.floor ?? 0);
  const row: Row = { ...current };
  if (change.operation === "update") {
    const known: Row = {};
    for (const { name } of resource.synced) if (current[name] !== null) known[name] = current[name];
    Object.assign(row, validateRecord(resource, { ...known, ...change.fields }));
  } else {
    for (const { name, initial } of resource.synced)
      row[name] = change.fields[name] ?? initial?.() ?? null;
  }
  const isOld = (change.floor ?? 0) > (current["version"] as number);
  if (!isOld && isEqualJson(toFields(resource, row), toFields(resource, current))) return null;
  completeRow(resource, row);
  row["version"] = version;
  row["updated_at"] = context.now;
  return { slot: { resource, id, row, tombstone: 0 }, changeType: "update", version };
}

/**
 * What one change does to the record it names, or null when it changes nothing. Pure: the caller
 * keeps the slots and writes them.
 *
 * @throws not_found, already_exists, version_conflict, invalid_record, forbidden
 */
export function applyChange(
  asked: Change,
  lookup: Lookup,
  context: { readonly author: Author; readonly now: number },
): Effect | null {
  const slot = lookup(asked.resource, asked.id);
  const { row } = slot;
  if (asked.holds?.(slot) === false) return null;
  const current = row === null ? slot.tombstone : (row["version"] as number);
  let change = asked;
  if (asked.expectedVersion !== null) {
    if (asked.expectedVersion > current) throw conflictOf(asked, row);
    if (row === null && asked.operation !== "insert") throw conflictOf(asked, null);
    if (row !== null && asked.expectedVersion < current && asked.operation !== "insert") {
      change = resolveLate(asked, row, context.author);
    }
  }
  // What was deleted elsewhere leaves its tombstone here too, even where it never was.
  const isBuried = change.operation === "delete" && (change.floor ?? 0) > current;
  if (row === null && change.operation === "update") throw notFound(change);
  if (row === null && change.operation === "delete" && !isBuried) throw notFound(change);
  if (row !== null && change.operation === "insert") {
    const detail = `${change.resource.type} ${change.id} exists already; "update" or "upsert" changes it.`;
    const current = toWireResource(change.resource, row);
    throw new SyncError("already_exists", { current }, { detail });
  }
  if (row !== null) assertOwner(change, row, context.author);
  if (change.operation !== "delete") return write(change, slot, context);
  const version = Math.max(current + 1, change.floor ?? 0);
  const gone = { resource: change.resource, id: change.id, row: null, tombstone: version };
  return { slot: gone, changeType: "delete", version };
}
