import { share } from "./equality.ts";
import { listsFor } from "./lists.ts";
import {
  askAgain,
  extraOf,
  isWatched,
  markDirty,
  owns,
  ownersOf,
  touch,
  typeOf,
  weigh,
} from "./nodes.ts";
import { markStale, placeIn } from "./queries.ts";
import type { BaseChange } from "./lists.ts";
import type { CacheState, RecordNode, TypeStore } from "./nodes.ts";
import type { Bulk, ClientRecord, RecordRef } from "./record.ts";

/** What is said of records that come together: made once for all of them. */
export interface Arrival {
  readonly state: CacheState;
  readonly sequence: number;
  /** They come from an event or a reply, so they changed at that sequence. */
  readonly isEvent: boolean;
}

/**
 * Whether a record of the server is newer than what is held. Versions rise with every change of a
 * record, also across its deletion, so they decide first: a record may be newer than the event or
 * the answer that brings it. Equal versions can differ in what was joined to them.
 */
function isNewer(node: RecordNode, version: number, sequence: number): boolean {
  const isLater = sequence > node.sequence && (node.base === null || version === node.version);
  return version > node.version || isLater;
}

/** Every list of the type finds the place of a changed record, unless its answer already knew. */
function placeEverywhere(state: CacheState, change: BaseChange): void {
  const { node, sequence } = change;
  const { type, base } = node;
  for (const query of ownersOf(node)) {
    if (query.sequence < sequence || base === null) placeIn(state, query, change);
  }
  if (base === null) return;
  for (const index of type.rules.values()) {
    for (const query of listsFor(index, base)) {
      if (query.sequence < sequence && !owns(query, node)) placeIn(state, query, change);
    }
  }
}

function markPlainStale(state: CacheState, type: TypeStore, sequence: number): void {
  for (const query of type.plain) if (query.sequence < sequence) markStale(state, query, sequence);
}

/** Doubts a record that is new here, and older than what may have been forgotten of it. */
function doubtOld({ state, sequence }: Arrival, node: RecordNode): boolean {
  // Of a record that is watched nothing is forgotten.
  const forgottenAt = isWatched(node) ? 0 : node.type.forgottenAt;
  const needed = Math.max(state.floor, forgottenAt);
  if (sequence >= needed) return false;
  extraOf(node).doubtedBefore = needed;
  return true;
}

interface NewBase {
  readonly base: ClientRecord | null;
  readonly version: number;
}

function replaceBase(at: Arrival, node: RecordNode, { base, version }: NewBase): void {
  const { state, sequence, isEvent } = at;
  const { type, base: before } = node;
  const isChange = isEvent || (node.sequence >= 0 && version !== node.version);
  const isOld = node.sequence < 0 && doubtOld(at, node);
  // Also when it was unknown: that there is none is news.
  if (base !== before || node.sequence < 0) {
    // Nothing shows a record that is new here, and a list that takes it in says so itself.
    const isShown = before !== null || node.sequence >= 0 || node.extra !== null;
    if (isShown || state.step.hadPending) touch(state, node);
    weigh(state, base);
  }
  node.used = Math.max(node.used, state.tick - 1);
  node.base = base;
  node.version = version;
  node.sequence = Math.max(node.sequence, sequence);
  state.step.dirtyNodes.push(node);
  if (state.pending.length > 0) state.rebased.add(node);
  type.learnedAt = Math.max(type.learnedAt, sequence);
  if (isChange) type.changedAt = Math.max(type.changedAt, sequence);
  // Lists that do not hold it have followed what it has yet to become.
  if (!isOld || before !== null) placeEverywhere(state, { node, before, sequence });
  if (isChange) markPlainStale(state, type, sequence);
}

/** An event of what a reply or an answer told before: lists that are older still have to hear of it. */
function announce({ state, sequence }: Arrival, node: RecordNode): void {
  node.type.changedAt = Math.max(node.type.changedAt, sequence);
  placeEverywhere(state, { node, before: node.base, sequence });
  markPlainStale(state, node.type, sequence);
}

/** Takes a record of the server; answers false when a newer one is held. */
export function putBase(at: Arrival, node: RecordNode, record: ClientRecord): boolean {
  const { version } = record;
  if (!isNewer(node, version, at.sequence)) {
    if (at.isEvent) announce(at, node);
    return version === node.version;
  }
  replaceBase(at, node, { base: share(node.base, record), version });
  return true;
}

/** A deletion; `version` 0 when it is not known, then the sequence decides. */
export function deleteBase(at: Arrival, node: RecordNode, version: number): void {
  const isNews = version > 0 ? isNewer(node, version, at.sequence) : at.sequence > node.sequence;
  // Without a version nothing that is older by sequence may revive it.
  if (isNews) replaceBase(at, node, { base: null, version: version || Number.MAX_SAFE_INTEGER });
  else if (at.isEvent) announce(at, node);
}

/** Changes of a type came without content, perhaps only within some scopes: older answers are stale. */
function doubtAnswers(state: CacheState, { type, scopes }: Bulk, sequence: number): void {
  const store = typeOf(state, type);
  store.forgottenAt = Math.max(store.forgottenAt, sequence);
  for (const query of state.queries.values()) {
    const isElsewhere =
      scopes.length > 0 &&
      query.scopes.length > 0 &&
      !query.scopes.some((scope) => scopes.includes(scope));
    if (query.types.includes(type) && query.sequence < sequence && !isElsewhere)
      markStale(state, query, sequence);
  }
}

/** A record changed in a way that did not travel: whatever may show it is stale. */
export function touchBase(state: CacheState, { type, id }: RecordRef, sequence: number): void {
  doubtAnswers(state, { type, scopes: [] }, sequence);
  const node = typeOf(state, type).nodes.get(id);
  if (node === undefined || node.sequence >= sequence) return;
  extraOf(node).doubtedBefore = sequence;
  state.step.dirtyNodes.push(node);
  askAgain(state, node);
}

/** How asking for a record stands. Nobody waits for one that is gone. */
export function noteRecord(state: CacheState, { type, id }: RecordRef, problem: unknown): boolean {
  const node = typeOf(state, type).nodes.get(id);
  if (node === undefined) return false;
  touch(state, node);
  extraOf(node).problem = problem;
  return true;
}

/**
 * What failed, or failed for this `problem`, is asked for again: now, if somebody still looks at it,
 * else by whoever does next.
 */
export function askAll(state: CacheState, problem?: unknown): void {
  const isMeant = (one: { readonly problem: unknown } | null): boolean =>
    problem === undefined || one?.problem === problem;
  for (const query of state.queries.values()) {
    if (!isMeant(query)) continue;
    query.problem = null;
    markDirty(state, query);
    state.step.stale.push(query);
  }
  for (const { nodes } of state.types.values())
    for (const node of nodes.values()) if (isMeant(node.extra)) askAgain(state, node);
}

/** A bulk operation changed any number of records. */
export function doubtType(state: CacheState, bulk: Bulk, sequence: number): void {
  doubtAnswers(state, bulk, sequence);
  const type = typeOf(state, bulk.type);
  type.doubtedBefore = Math.max(type.doubtedBefore, sequence);
  for (const node of type.nodes.values()) askAgain(state, node);
}
