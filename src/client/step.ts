import { tellAll } from "../base/emitter.ts";
import { isEqual, keep } from "./equality.ts";
import { evictQueries, evictRecords } from "./eviction.ts";
import { markLists, markOwners } from "./lists.ts";
import { extraOf, isKnown, isWatched, markDirty, newStep, viewOf } from "./nodes.ts";
import { dropIfEmpty, keepIdentity, replay } from "./overlay.ts";
import { refresh } from "./queries.ts";
import type { CacheState, Listener, RecordNode, Step } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import type { RecordSnapshot } from "./snapshot.ts";

/** The snapshot of a record; the old one when nothing changed. */
export function snapshotOf(node: RecordNode): RecordSnapshot {
  const extra = extraOf(node);
  extra.snapshot = keep(extra.snapshot, {
    data: viewOf(node),
    isPending: extra.layers.length > 0,
    isKnown: isKnown(node),
    problem: isKnown(node) ? null : extra.problem,
  });
  return extra.snapshot;
}

/** Finds out which views really changed and marks the lists that show them. */
function settleViews(state: CacheState, step: Step): RecordNode[] {
  const watched: RecordNode[] = [];
  const { nodes, views } = step;
  for (let index = 0; index < nodes.length; index += 1) {
    const node = nodes[index];
    if (node === undefined) continue;
    const before = views[index] ?? null;
    const now = viewOf(node);
    if (isWatched(node)) watched.push(node);
    if (!step.hadPending) {
      // Equal bases were recognised when they came.
      if (before !== now) markOwners(state, node);
      continue;
    }
    const isSame = before === now || (before !== null && isEqual(before, now));
    if (isSame && before !== null) keepIdentity(node, before);
    // A layer that is gone may leave the record as it was, yet its lists are the base's again.
    markOwners(state, node);
    if (!isSame && before !== null) markLists(state, node, before);
    if (now !== null) markLists(state, node, now);
  }
  return watched;
}

/** Asks once for what is stale and has subscribers. */
function takeStale(state: CacheState, step: Step): QueryKey[] {
  const keys: QueryKey[] = [];
  for (const query of step.stale) {
    if (!query.isStale || query.isFetching || query.askers === 0) continue;
    query.isFetching = true;
    markDirty(state, query);
    keys.push(query.key);
  }
  return keys;
}

function collect(state: CacheState, step: Step, watched: readonly RecordNode[]): Set<Listener> {
  const listeners = new Set<Listener>();
  for (const query of step.queries) {
    // Without a subscriber the snapshot is made when somebody reads it.
    if (query.listeners.length === 0 || !refresh(state, query)) continue;
    for (const listener of query.listeners) listeners.add(listener);
  }
  for (const node of watched) {
    const { extra } = node;
    if (extra === null || extra.snapshot === snapshotOf(node)) continue;
    for (const listener of extra.listeners) listeners.add(listener);
  }
  return listeners;
}

const refOf = ({ type, id }: RecordNode): RecordRef => ({ type: type.name, id });

function tellDirty(state: CacheState, step: Step): void {
  const { cursor, dirtyNodes, dirtyQueries } = step;
  if (dirtyNodes.length + dirtyQueries.length === 0 && cursor === state.cursor) return;
  state.hooks.onDirty?.({
    records: dirtyNodes.map(refOf),
    queries: dirtyQueries.map(({ key }) => key),
    cursor: state.cursor,
  });
}

function end(state: CacheState): void {
  const { step } = state;
  if (step.hadPending) replay(state);
  const watched = settleViews(state, step);
  if (step.hadPending) for (const node of step.nodes) dropIfEmpty(state, node);
  evictQueries(state);
  evictRecords(state);
  const keys = takeStale(state, step);
  const listeners = collect(state, step, watched);
  // What exists only here the service cannot know yet.
  const unknown = step.unknown.filter((node) => viewOf(node)?.version !== 0).map(refOf);
  state.step = newStep(state.cursor);
  state.work.notified += listeners.size;
  tellAll(listeners, undefined);
  tellDirty(state, step);
  if (keys.length + unknown.length > 0) state.hooks.onStale(keys, unknown);
}

/** Runs one step: readers see all of it or nothing, and are told once. */
export function run<Result>(state: CacheState, work: () => Result): Result {
  if (state.depth === 0) {
    state.tick += 2;
    state.step.hadPending = state.pending.length > 0;
  }
  state.depth += 1;
  try {
    return work();
  } finally {
    state.depth -= 1;
    if (state.depth === 0) end(state);
  }
}
