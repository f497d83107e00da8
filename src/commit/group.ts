import { createId } from "../base/id.ts";
import { SyncError, isSyncError, withIndex } from "../protocol/errors.ts";
import type { WireResource } from "../protocol/errors.ts";
import { appendEntries, redactDeleted } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { advanceHead } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { toFields, toWireResource } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { RowsStatement, Statement } from "../store/database.ts";
import type { Receipt, Submission } from "./change.ts";
import type { Known } from "./load.ts";
import { rememberMutation, rememberRefusal } from "./mutation.ts";
import { leftBy } from "./late.ts";
import type { StoredConflict } from "./late.ts";
import { absent, applyChange, slotKey } from "./plan.ts";
import type { Effect, Slot } from "./plan.ts";
import { storeConflicts, writeRows } from "./write.ts";

/** One submission of a group and what the plan says of it. */
export type Planned =
  | { readonly kind: "write"; readonly entries: readonly LogEntry[]; readonly receipt: Receipt }
  | { readonly kind: "unchanged"; readonly receipt: Receipt }
  /** The same mutation id stands earlier in this group: its answer is this one's too. */
  | { readonly kind: "same"; readonly as: number }
  | { readonly kind: "replay" }
  | { readonly kind: "fail"; readonly error: unknown };

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
    return overlay.get(key) ?? slots.get(key) ?? absent(resource, id);
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
      if (!isSyncError(error)) throw error;
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
export function sortByType<Item>(
  items: readonly Item[],
  slotOf: (item: Item) => Slot,
  ordered: readonly CompiledResource[],
): Item[] {
  const rank = new Map(ordered.map((resource, index) => [resource.type, index]));
  const place = (item: Item) => rank.get(slotOf(item).resource.type) ?? 0;
  return items.toSorted((left, right) => place(left) - place(right));
}

/** A group as it grows, submission by submission. */
interface Growing {
  readonly current: Map<string, Slot>;
  /** Where each mutation id of this group stands. */
  readonly seen: Map<string, number>;
  readonly entries: LogEntry[];
  readonly committed: CommittedEntry[];
  readonly conflicts: StoredConflict[];
  readonly extra: Statement[];
}

/** What a mutation id that is known, or stands earlier in the group, makes of a submission. */
function planRepeat(
  submissions: readonly Submission[],
  index: number,
  { known, seen }: { readonly known: Known; readonly seen: ReadonlyMap<string, number> },
): Planned | null {
  const { mutationId = null, fingerprint } = submissions[index] ?? {};
  if (mutationId === null) return null;
  const before = known.mutations.get(mutationId);
  const twin = seen.get(mutationId);
  const other =
    before?.fingerprint ?? (twin === undefined ? undefined : submissions[twin]?.fingerprint);
  // A follower that was promoted knows that the mutation happened, not what it said.
  if (other !== undefined && other !== "" && other !== fingerprint) {
    const detail = `The mutation id ${mutationId} was used for other content; what is new needs a new id.`;
    return { kind: "fail", error: new SyncError("mutation_reused", { mutationId }, { detail }) };
  }
  if (before !== undefined) return { kind: "replay" };
  return twin === undefined ? null : { kind: "same", as: twin };
}

/** Applies a new submission to the group. @throws what it is refused for, leaving no trace */
function planNew(group: Growing, submission: Submission, context: GroupContext): Planned {
  const { state, ordered, now } = context;
  const { effects, resources, overlay } = draft(submission, group.current, now);
  const transactionId = createId();
  const sorted = sortByType(effects, ({ slot }) => slot, ordered);
  const base = {
    epoch: state.epoch,
    transactionId,
    deviceId: submission.author.deviceId,
    mutationId: submission.mutationId,
    timestampMs: now,
    operation: submission.operation,
  };
  const own = toEntries(sorted, base, state.head + group.entries.length + 1);
  const receipt: Receipt = {
    firstSequence: own[0]?.sequence ?? null,
    lastSequence: own.at(-1)?.sequence ?? null,
    epoch: state.epoch,
    transactionId,
    replayed: false,
    resources,
    ...(submission.output === undefined ? {} : { output: submission.output }),
  };
  for (const [key, slot] of overlay) group.current.set(key, slot);
  for (const [at, entry] of own.entries()) {
    const slot = sorted[at]?.slot;
    if (slot !== undefined) group.committed.push({ entry, slot });
    group.entries.push(entry);
  }
  group.extra.push(...rememberMutation(submission, receipt, now), ...(submission.also ?? []));
  return own.length === 0
    ? { kind: "unchanged", receipt }
    : { kind: "write", entries: own, receipt };
}

/** Keeps what a refusal leaves: the conflict that waits, and the lasting answer of its mutation id. */
function planRefusal(
  group: Growing,
  submission: Submission,
  { error, now }: { readonly error: SyncError; readonly now: number },
): { readonly planned: Planned; readonly isKept: boolean } {
  const conflict = leftBy(error);
  if (conflict !== null) group.conflicts.push(conflict);
  const refusal = rememberRefusal(submission, error, now);
  group.extra.push(...refusal);
  return { planned: { kind: "fail", error }, isKept: refusal.length > 0 };
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
  const { state, now } = context;
  const group: Growing = {
    current: new Map(known.slots),
    seen: new Map(),
    entries: [],
    committed: [],
    conflicts: [],
    extra: [],
  };
  const { seen, entries, committed, conflicts } = group;
  const members = submissions.map((submission, index): Planned => {
    const repeat = planRepeat(submissions, index, { known, seen });
    if (repeat !== null) return repeat;
    const { mutationId, place } = submission;
    try {
      // One before it may have ended its line in this very group.
      place?.assertGoesOn();
      const planned = planNew(group, submission, context);
      if (mutationId !== null) seen.set(mutationId, index);
      return planned;
    } catch (error) {
      place?.failed(error);
      // A plugin's function that fails, fails its caller, not everybody in the group.
      if (!isSyncError(error)) return { kind: "fail", error };
      const { planned, isKept } = planRefusal(group, submission, { error, now });
      if (isKept && mutationId !== null) seen.set(mutationId, index);
      return planned;
    }
  });
  const rows = writeGroup({ before: known.slots, after: group.current, committed }, context);
  const noted = [...group.extra, ...storeConflicts(conflicts, now)];
  // What changes no record stands behind the fence too: another epoch may know better.
  const fence = rows.length === 0 && noted.length > 0 ? [advanceHead(state, 0)] : [];
  return { members, statements: [...fence, ...rows, ...noted], entries, committed, conflicts };
}

function writeGroup(
  change: {
    readonly before: ReadonlyMap<string, Slot>;
    readonly after: ReadonlyMap<string, Slot>;
    readonly committed: readonly CommittedEntry[];
  },
  { state, ordered, now }: GroupContext,
): (Statement | RowsStatement)[] {
  const { before, after, committed } = change;
  const entries = committed.map(({ entry }) => entry);
  if (entries.length === 0) return [];
  const transitions = [...after].flatMap(([key, slot]) => {
    const old = before.get(key);
    return old === undefined || old === slot ? [] : [{ before: old, after: slot }];
  });
  const json = entries.map(({ data }) => (data === null ? null : JSON.stringify(data)));
  const texts = new Map(committed.map(({ slot }, at) => [slot, json[at] ?? null]));
  const sequence = state.head + entries.length;
  return [
    advanceHead(state, entries.length),
    ...writeRows(transitions, { ordered, sequence, now, texts }),
    appendEntries(entries, json),
    ...redactDeleted(entries),
  ];
}
