/**
 * Joining two libraries into one history: every record of the other library is held against ours.
 * Each side may have deleted, changed or made it; the newer version wins, then the later change, then
 * the text that sorts last, so that both sides would decide alike. A tombstone at least as new wins
 * over a record. Deciding again over the result changes nothing, so a merge may be repeated.
 */
import type { ChangeRequest } from "../commit/change.ts";
import type { Slot } from "../commit/plan.ts";
import { toFields } from "../resource/compile.ts";
import { isEqualJson } from "../resource/conflict.ts";

/** A record of the other library; without `fields` it was deleted there. */
export interface Incoming {
  readonly id: string;
  readonly version: number;
  readonly fields: Readonly<Record<string, unknown>> | null;
  readonly updatedAt: number;
}

/** What has to be changed here for one record of the other library; null when nothing has. */
export function mergeRecord(ours: Slot, theirs: Incoming): ChangeRequest | null {
  const { resource, id, row, tombstone } = ours;
  const named = { resource_type: resource.type, id };
  if (theirs.fields === null) {
    const isGone = row !== null && (row["version"] as number) <= theirs.version;
    return isGone ? { ...named, operation: "delete" } : null;
  }
  const take: ChangeRequest = { ...named, operation: "upsert", data: theirs.fields };
  if (row === null) return tombstone >= theirs.version ? null : take;
  const fields = toFields(resource, row);
  if (isEqualJson(fields, theirs.fields)) return null;
  const order =
    theirs.version - (row["version"] as number) ||
    theirs.updatedAt - (row["updated_at"] as number) ||
    (JSON.stringify(theirs.fields) > JSON.stringify(fields) ? 1 : -1);
  return order > 0 ? take : null;
}
