import { bytesIn, dropNode, isHeld } from "./nodes.ts";
import { dropQuery } from "./queries.ts";
import type { CacheState, QueryNode, RecordNode } from "./nodes.ts";

/** An eviction makes room for a while, so that it is not needed at each step (CACHE-11). */
const AFTER = 0.9;

function byUse(left: { readonly used: number }, right: { readonly used: number }): number {
  return left.used - right.used;
}

/** Records that queries or mutations need although no list holds them. */
function mentioned(state: CacheState): Set<RecordNode> {
  const kept = new Set<RecordNode>();
  for (const query of state.queries.values()) for (const node of query.included) kept.add(node);
  for (const pending of state.pending) for (const node of pending.nodes) kept.add(node);
  return kept;
}

function idleQueries(state: CacheState): QueryNode[] {
  const idle = [...state.queries.values()].filter(
    ({ listeners, isFetching }) => listeners.length === 0 && !isFetching,
  );
  return idle.sort(byUse);
}

function drop(state: CacheState, queries: readonly QueryNode[]): void {
  for (const query of queries) dropQuery(state, query);
  state.evictions += queries.length;
}

export function evictQueries(state: CacheState): void {
  const excess = state.queries.size - state.limits.queries;
  if (excess > 0) drop(state, idleQueries(state).slice(0, excess));
}

function evict(state: CacheState, node: RecordNode): void {
  const { type } = node;
  // An answer that is older than what is forgotten here can no longer be corrected.
  type.forgottenAt = Math.max(type.forgottenAt, Math.min(node.sequence, type.changedAt));
  dropNode(state, node);
  state.evictions += 1;
  state.step.dirtyNodes.push(node);
}

/** How much of its bounds a cache takes; above 1 it is beyond one. */
export function fullness(state: CacheState): number {
  const { records, bytes } = state.limits;
  return Math.max(state.recordCount / records, bytesIn(state) / bytes);
}

function evictFree(state: CacheState): void {
  const kept = mentioned(state);
  const free: RecordNode[] = [];
  for (const { nodes } of state.types.values()) {
    for (const node of nodes.values()) if (!isHeld(node) && !kept.has(node)) free.push(node);
  }
  for (const node of free.sort(byUse)) {
    if (fullness(state) <= AFTER) return;
    evict(state, node);
  }
}

/**
 * Keeps the bounds: the oldest records that nothing refers to go first, then the queries without
 * subscribers and what only they hold. What has subscribers always stays.
 */
export function evictRecords(state: CacheState): void {
  if (fullness(state) <= state.evictAbove) return;
  evictFree(state);
  const idle = idleQueries(state);
  while (fullness(state) > AFTER && idle.length > 0) {
    // A tenth at a time, because each round looks at every record.
    drop(state, idle.splice(0, Math.ceil(idle.length / 10)));
    evictFree(state);
  }
  state.evictAbove = Math.max(1, fullness(state) / AFTER);
}
