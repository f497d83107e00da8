import { createId } from "../base/id.ts";
import { SyncError, isSyncError, withIndex } from "../protocol/errors.ts";
import type { WireResource } from "../protocol/errors.ts";
import { appendEntries, redactBefore } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { advanceHead } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { toFields, toWireResource } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { RowsStatement, Statement } from "../store/database.ts";
import type { Receipt, Submission } from "./change.ts";
import type { Known } from "./load.ts";
import { rememberMutation, rememberRefusal } from "./mutation.ts";
import { ManualConflict, applyChange, slotKey } from "./plan.ts";
import type { Effect, Slot, StoredConflict } from "./plan.ts";
import { storeConflicts, writeRows } from "./write.ts";

/** One submission of a group and what the plan says of it. */
export type Planned =
  | { readonly kind: "write"; readonly entries: readonly LogEntry[]; readonly receipt: Receipt }
  | { readonly kind: "unchanged"; readonly receipt: Receipt }
  /** The same mutation id stands earlier in this group: its answer is this one's too. */
  | { readonly kind: "same"; readonly as: number }
  | { readonly kind: "replay" }
  | { readonly kind: "fail"; readonly error: SyncError };

/** A committed entry and the record it left, as clients see it (null for deletes). */
export interface CommittedEntry {
  readonly entry: LogEntry;
  readonly slot: Slot;
}

export interface GroupPlan {
  readonly members: readonly Planned[];
  readonly statements: readonly (Statement | RowsStatement)[];
  readonly entries: readonly LogEntry[];
  readonly committed: readonly CommittedEntry[];
  readonly conflicts: readonly StoredConflict[];
}

export interface GroupContext {
  readonly state: LibraryState;
  /** In dependency order. */
  readonly ordered: readonly CompiledResource[];
  readonly now: number;
}

interface Draft {
  readonly effects: readonly Effect[];
  readonly resources: readonly (WireResource | null)[];
  readonly overlay: ReadonlyMap<string, Slot>;
}

/** Applies one submission over what stands, without touching it, so that a refusal leaves no trace. */
function draft(submission: Submission, slots: ReadonlyMap<string, Slot>, now: number): Draft {
  const overlay = new Map<string, Slot>();
  const lookup = (resource: CompiledResource, id: string): Slot => {
    const key = slotKey(resource.type, id);
    return overlay.get(key) ?? slots.get(key) ?? { resource, id, row: null, tombstone: 0 };
  };
  const effects: Effect[] = [];
  const resources = submission.changes.map((change, index) => {
    try {
      const effect = applyChange(change, lookup, { author: submission.author, now });
      if (effect !== null) {
        effects.push(effect);
        overlay.set(slotKey(change.resource.type, change.id), effect.slot);
      }
    } catch (error) {
      if (!isSyncError(error) || error instanceof ManualConflict) throw error;
      throw submission.changes.length > 1 || submission.operation !== null
        ? withIndex(error, index)
        : error;
    }
    const { row } = lookup(change.resource, change.id);
    return row === null ? null : toWireResource(change.resource, row);
  });
  return { effects, resources, overlay };
}

function toEntries(
  effects: readonly Effect[],
  base: Omit<LogEntry, keyof EffectEntry>,
  first: number,
) {
  return effects.map(({ slot, changeType, version }, index): LogEntry => ({
    ...base,
    sequence: first + index,
    domain: slot.resource.domain,
    modelType: slot.resource.type,
    recordId: slot.id,
    changeType,
    version,
    data: slot.row === null ? null : toFields(slot.resource, slot.row),
  }));
}
type EffectEntry = Pick<
  LogEntry,
  "sequence" | "domain" | "modelType" | "recordId" | "changeType" | "version" | "data"
>;

/** Entries of one transaction stand together by type, in dependency order: each type is one run. */
function sortByType(effects: readonly Effect[], ordered: readonly CompiledResource[]): Effect[] {
  const rank = new Map(ordered.map((resource, index) => [resource.type, index]));
  const place = (effect: Effect) => rank.get(effect.slot.resource.type) ?? 0;
  return effects.toSorted((left, right) => place(left) - place(right));
}

/**
 * Decides what every submission of a group does, in their order, against the rows that were read,
 * and writes the one batch that does it. Pure but for the ids it mints.
 */
export function planGroup(
  submissions: readonly Submission[],
  known: Known,
  context: GroupContext,
): GroupPlan {
  const { state, ordered, now } = context;
  const current = new Map(known.slots);
  const seen = new Map<string, number>();
  const entries: LogEntry[] = [];
  const committed: CommittedEntry[] = [];
  const conflicts: StoredConflict[] = [];
  const extra: Statement[] = [];

  const planOne = (submission: Submission, index: number): Planned => {
    const { mutationId, fingerprint } = submission;
    if (mutationId !== null) {
      const before = known.mutations.get(mutationId);
      const twin = seen.get(mutationId);
      const other =
        before?.fingerprint ?? (twin === undefined ? undefined : submissions[twin]?.fingerprint);
      // A follower that was promoted knows that the mutation happened, not what it said.
      if (other !== undefined && other !== "" && other !== fingerprint) {
        return { kind: "fail", error: new SyncError("mutation_reused", { mutationId }) };
      }
      if (before !== undefined) return { kind: "replay" };
      if (twin !== undefined) return { kind: "same", as: twin };
    }
    const { effects, resources, overlay } = draft(submission, current, now);
    const transactionId = createId();
    const first = state.head + entries.length + 1;
    const sorted = sortByType(effects, ordered);
    const own = toEntries(
      sorted,
      {
        epoch: state.epoch,
        transactionId,
        deviceId: submission.author.deviceId,
        mutationId,
        timestampMs: now,
        operation: submission.operation,
      },
      first,
    );
    const receipt: Receipt = {
      firstSequence: own[0]?.sequence ?? null,
      lastSequence: own.at(-1)?.sequence ?? null,
      epoch: state.epoch,
      transactionId,
      replayed: false,
      resources,
      ...(submission.output === undefined ? {} : { output: submission.output }),
    };
    for (const [key, slot] of overlay) current.set(key, slot);
    own.forEach((entry, at) => {
      const slot = sorted[at]?.slot;
      if (slot !== undefined) committed.push({ entry, slot });
    });
    entries.push(...own);
    extra.push(...rememberMutation(submission, receipt, now), ...(submission.also ?? []));
    if (mutationId !== null) seen.set(mutationId, index);
    return own.length === 0
      ? { kind: "unchanged", receipt }
      : { kind: "write", entries: own, receipt };
  };

  const members = submissions.map((submission, index): Planned => {
    try {
      return planOne(submission, index);
    } catch (error) {
      if (error instanceof ManualConflict) conflicts.push(error.stored);
      if (!isSyncError(error)) throw error;
      const refusal = rememberRefusal(submission, error, now);
      extra.push(...refusal);
      if (refusal.length > 0 && submission.mutationId !== null)
        seen.set(submission.mutationId, index);
      return { kind: "fail", error };
    }
  });
  const rows = writeGroup({ before: known.slots, after: current, entries }, context);
  const noted = [...extra, ...storeConflicts(conflicts, now)];
  // What changes no record stands behind the fence too: another epoch may know better.
  const fence = rows.length === 0 && noted.length > 0 ? [advanceHead(state, 0)] : [];
  const statements = [...fence, ...rows, ...noted];
  return { members, statements, entries, committed, conflicts };
}

function writeGroup(
  change: {
    readonly before: ReadonlyMap<string, Slot>;
    readonly after: ReadonlyMap<string, Slot>;
    readonly entries: readonly LogEntry[];
  },
  { state, ordered, now }: GroupContext,
): (Statement | RowsStatement)[] {
  const { before, after, entries } = change;
  if (entries.length === 0) return [];
  const transitions = [...after].flatMap(([key, slot]) => {
    const old = before.get(key);
    return old === undefined || old === slot ? [] : [{ before: old, after: slot }];
  });
  const deleted = entries.filter((entry) => entry.changeType === "delete");
  const sequence = state.head + entries.length;
  return [
    advanceHead(state, entries.length),
    ...writeRows(transitions, { ordered, sequence, now }),
    appendEntries(entries),
    ...(deleted.length === 0
      ? []
      : [
          redactBefore(
            deleted.map((entry) => [entry.modelType, entry.recordId, entry.sequence] as const),
          ),
        ]),
  ];
}
