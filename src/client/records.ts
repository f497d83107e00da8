import { share } from "./equality.ts";
import { eachListFor } from "./lists.ts";
import { isWatched, nodeOf, owns, touch, typeOf, weigh } from "./nodes.ts";
import { markStale, placeIn } from "./queries.ts";
import type { BaseChange } from "./lists.ts";
import type { CacheState, QueryNode, RecordNode, TypeStore } from "./nodes.ts";
import type { ClientRecord, RecordRef, TypedRecord } from "./record.ts";

/**
 * Whether a record of the server is newer than what is held. Versions rise with every change of a
 * record, also across its deletion, so they decide first: a record may be newer than the event or
 * the answer that brings it. Equal versions can differ in what was joined to them.
 */
function isNewer(node: RecordNode, version: number, sequence: number): boolean {
  if (node.sequence < 0) return true;
  if (node.base === null) return version > node.version || sequence > node.sequence;
  return version > node.version || (version === node.version && sequence > node.sequence);
}

/** Every list of the type finds the place of a changed record, unless its answer already knew. */
function placeEverywhere(state: CacheState, change: BaseChange): void {
  const { node, sequence } = change;
  const { owners, type, base } = node;
  const visit = (query: QueryNode) => {
    if (query.sequence < sequence || base === null) placeIn(state, query, change);
  };
  if (Array.isArray(owners)) for (const query of owners) visit(query);
  else if (owners !== null) visit(owners);
  if (base !== null) {
    eachListFor(type, base, (query) => {
      if (query.sequence >= sequence || owns(query, node)) return;
      placeIn(state, query, change);
    });
  }
}

function markPlainStale(state: CacheState, type: TypeStore, sequence: number): void {
  for (const query of type.plain) if (query.sequence < sequence) markStale(state, query, sequence);
}

interface NewBase {
  readonly base: ClientRecord | null;
  readonly version: number;
  readonly sequence: number;
  /** It comes from an event or a reply, so it changed at that sequence. */
  readonly isEvent: boolean;
}

function replaceBase(state: CacheState, node: RecordNode, next: NewBase): void {
  const { type, base: before } = node;
  const { base, version, sequence } = next;
  const isChange = next.isEvent || (node.sequence >= 0 && version !== node.version);
  // Also when it was unknown: that there is none is news.
  if (base !== before || node.sequence < 0) {
    touch(state, node);
    weigh(state, base);
  }
  node.used = Math.max(node.used, state.tick - 1);
  node.base = base;
  node.version = version;
  node.sequence = Math.max(node.sequence, sequence);
  state.step.isBaseDirty = true;
  if (state.onDirty !== null) state.step.dirtyNodes.push(node);
  if (state.pending.length > 0) state.rebased.add(node);
  type.learnedAt = Math.max(type.learnedAt, sequence);
  if (isChange) type.changedAt = Math.max(type.changedAt, sequence);
  placeEverywhere(state, { node, before, sequence });
  if (isChange) markPlainStale(state, type, sequence);
}

/** An event of what a reply or an answer told before: lists that are older still have to hear of it. */
function announce(state: CacheState, node: RecordNode, sequence: number): void {
  node.type.changedAt = Math.max(node.type.changedAt, sequence);
  placeEverywhere(state, { node, before: node.base, sequence });
  markPlainStale(state, node.type, sequence);
}

/** Takes a record of the server; answers its node, or null when a newer one is held. */
export function putBase(
  state: CacheState,
  { type: name, record }: TypedRecord,
  at: { readonly sequence: number; readonly isEvent: boolean },
): { readonly node: RecordNode; readonly isTaken: boolean } {
  const node = nodeOf(state, typeOf(state, name), record.id);
  const { version } = record;
  if (!isNewer(node, version, at.sequence)) {
    if (at.isEvent) announce(state, node, at.sequence);
    return { node, isTaken: version === node.version };
  }
  replaceBase(state, node, { base: share(node.base, record), version, ...at });
  return { node, isTaken: true };
}

/** A deletion; `version` 0 when it is not known, then the sequence decides. */
export function deleteBase(
  state: CacheState,
  ref: RecordRef & { readonly version: number },
  at: { readonly sequence: number; readonly isEvent: boolean },
): RecordNode {
  const node = nodeOf(state, typeOf(state, ref.type), ref.id);
  const isNews = ref.version > 0 ? ref.version > node.version : at.sequence > node.sequence;
  if (!isNews) {
    if (at.isEvent) announce(state, node, at.sequence);
    return node;
  }
  // Without a version nothing that is older by sequence may revive it.
  const version = ref.version > 0 ? ref.version : Number.MAX_SAFE_INTEGER;
  replaceBase(state, node, { base: null, version, ...at });
  return node;
}

/** A record changed in a way that did not travel: whatever may show it is stale. */
export function touchBase(state: CacheState, ref: RecordRef, sequence: number): void {
  const type = typeOf(state, ref.type);
  type.forgottenAt = Math.max(type.forgottenAt, sequence);
  for (const query of state.queries.values()) {
    if (query.types.includes(ref.type) && query.sequence < sequence)
      markStale(state, query, sequence);
  }
  const node = type.nodes.get(ref.id);
  if (node !== undefined && isWatched(node)) state.step.unknown.push(node);
}

/** A bulk operation changed any number of records of a type, perhaps only within some scopes. */
export function doubtType(
  state: CacheState,
  bulk: { readonly type: string; readonly scopes: readonly string[] },
  sequence: number,
): void {
  const type = typeOf(state, bulk.type);
  type.forgottenAt = Math.max(type.forgottenAt, sequence);
  type.doubtedBefore = Math.max(type.doubtedBefore, sequence);
  for (const query of state.queries.values()) {
    if (!query.types.includes(bulk.type) || query.sequence >= sequence) continue;
    const isElsewhere =
      bulk.scopes.length > 0 &&
      query.scopes.length > 0 &&
      !query.scopes.some((scope) => bulk.scopes.includes(scope));
    if (!isElsewhere) markStale(state, query, sequence);
  }
  for (const node of type.nodes.values()) {
    if (!isWatched(node)) continue;
    touch(state, node);
    state.step.unknown.push(node);
  }
}
