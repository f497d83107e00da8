/**
 * Joining two libraries into one history: every record of the other library is held against ours.
 * Each side may have deleted, changed or made it; the newer version wins, then the later change, then
 * the text that sorts last, so that both sides would decide alike. A tombstone at least as new wins
 * over a record. What is taken keeps its version, so that deciding again over the result, or over
 * what people have made of it since, changes nothing: a merge may be repeated.
 *
 * @module
 */
import type { ChangeRequest, Condition } from "../commit/change.ts";
import { loadSlots } from "../commit/load.ts";
import { slotKey } from "../commit/plan.ts";
import type { Slot } from "../commit/plan.ts";
import { toFields } from "../resource/compile.ts";
import type { SnapshotLine } from "../follower/upstream.ts";
import { SyncError } from "../protocol/errors.ts";
import { isEqualJson } from "../resource/conflict.ts";
import type { Registry } from "../resource/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Library } from "./library.ts";

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
  const named = { resource_type: resource.type, id, floor: theirs.version };
  if (theirs.fields === null) {
    // Buried where it never was, too: what is made anew under its id is newer than what was deleted.
    const isGone =
      row === null ? tombstone < theirs.version : (row["version"] as number) <= theirs.version;
    return isGone ? { ...named, operation: "delete" } : null;
  }
  const take: ChangeRequest = { ...named, operation: "upsert", data: theirs.fields };
  if (row === null) return tombstone >= theirs.version ? null : take;
  const fields = toFields(resource, row);
  const newer = theirs.version - (row["version"] as number);
  // Of two that say the same the newer is taken too: else what is made of ours would look older.
  if (isEqualJson(fields, theirs.fields)) return newer > 0 ? take : null;
  const order =
    newer ||
    theirs.updatedAt - (row["updated_at"] as number) ||
    (JSON.stringify(theirs.fields) > JSON.stringify(fields) ? 1 : -1);
  return order > 0 ? take : null;
}

/** What became of some records of the other library. */
export interface MergeReceipt {
  readonly mergedCount: number;
  /** Records this library's rules refuse, each with the reason; they stay where they are. */
  readonly refused: readonly string[];
}

const keyOf = (line: SnapshotLine): string =>
  `${line.resource_type ?? ""}:${line.resource?.id ?? line.deleted ?? ""}`;

/**
 * Holds records against a library's own and commits what differs, each under the device it came
 * from and in the order given, because a record may refer to one before it.
 */
export async function mergeLines(
  { database, manager, state }: Pick<Library, "database" | "manager" | "state">,
  { registry, telemetry }: { readonly registry: Registry; readonly telemetry: Telemetry },
  given: readonly SnapshotLine[],
): Promise<MergeReceipt> {
  const timing = telemetry.time("merge.page");
  // Of a record that changed more than once, the last counts.
  const lines = [...new Map(given.map((line) => [keyOf(line), line])).values()];
  const wanted = lines.map((line) => ({
    resource: registry.resource(line.resource_type ?? ""),
    id: line.resource?.id ?? line.deleted ?? "",
  }));
  const { slots } = await loadSlots(database.read, wanted);
  timing?.mark("read");
  const runs: { deviceId: string; changes: ChangeRequest[] }[] = [];
  lines.forEach((line, index) => {
    const { resource, id } = wanted[index] ?? {};
    const slot = resource === undefined ? undefined : slots.get(slotKey(resource.type, id ?? ""));
    if (slot === undefined) return;
    const { id: _id, version = line.version ?? 0, ...fields } = line.resource ?? {};
    const incoming: Incoming = {
      id: slot.id,
      version,
      fields: line.resource === undefined ? null : fields,
      updatedAt: line.origin?.updated_at ?? 0,
    };
    const wish = mergeRecord(slot, incoming);
    if (wish === null) return;
    // Until its turn comes somebody may write the record: then what they made of it is asked again.
    const holds: Condition = (now) => mergeRecord({ ...slot, ...now }, incoming) !== null;
    const change = { ...wish, holds };
    const deviceId = line.origin?.device_id ?? "merge";
    const last = runs.at(-1);
    if (last?.deviceId === deviceId) last.changes.push(change);
    else runs.push({ deviceId, changes: [change] });
  });
  timing?.mark("decide");
  let mergedCount = 0;
  const refused: string[] = [];
  for (const { deviceId, changes } of runs) {
    const author = { deviceId, isDevice: false };
    const { failed } = await manager.commitResilient(changes, { author });
    mergedCount += changes.length - failed.length;
    const late = failed.find(({ problem }) => problem.retry !== "never");
    if (late !== undefined) {
      // Decided again from the same lines, what stands already changes nothing.
      throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail: late.problem.detail });
    }
    for (const { index, problem } of failed) {
      const { resource_type, id } = changes[index] ?? {};
      refused.push(`${resource_type ?? ""} ${id ?? ""}: ${problem.detail}`);
    }
  }
  timing?.end({
    library_id: state.id,
    records: lines.length,
    merged: mergedCount,
    refused: refused.length,
  });
  return { mergedCount, refused };
}
