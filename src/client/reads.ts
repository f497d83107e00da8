import { bytesIn, extraOf, nodeOf, typeOf } from "./nodes.ts";
import { dropIfEmpty } from "./overlay.ts";
import { loadingSnapshot, markStale, queryOf, refresh } from "./queries.ts";
import { snapshotOf } from "./step.ts";
import type { CacheState, Listener } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import type { CacheStats, QueryPolicy, QuerySnapshot, RecordSnapshot } from "./snapshot.ts";

const unknownSnapshot: RecordSnapshot = Object.freeze({
  data: null,
  isPending: false,
  isKnown: false,
});

export function readRecord(state: CacheState, type: string, id: string): RecordSnapshot {
  const node = state.types.get(type)?.nodes.get(id);
  if (node === undefined) return unknownSnapshot;
  node.used = state.tick + 1;
  extraOf(node);
  return snapshotOf(node);
}

export function readQuery(state: CacheState, key: QueryKey): QuerySnapshot {
  const query = state.queries.get(key.text);
  if (query === undefined) return loadingSnapshot;
  query.used = state.tick + 1;
  refresh(state, query);
  return query.snapshot;
}

export function lookup(
  state: CacheState,
  key: QueryKey,
  reader: { readonly policy: QueryPolicy; readonly now: number },
): "hit" | "hit-and-fetch" | "fetch" | "miss" {
  const { policy, now } = reader;
  const query = state.queries.get(key.text);
  if (query !== undefined && !query.isStale && query.expiresAt <= now) markStale(state, query, 0);
  const isFresh = query !== undefined && query.isAnswered && !query.isStale;
  if (isFresh) state.hits += 1;
  else state.misses += 1;
  if (policy === "network-only") return "fetch";
  if (policy === "cache-only") return query?.isAnswered === true ? "hit" : "miss";
  if (policy === "cache-first") return isFresh ? "hit" : "fetch";
  return query?.isAnswered === true ? (isFresh ? "hit" : "hit-and-fetch") : "fetch";
}

/** Adds a listener; what it answers takes it out again, once. */
function listen(
  to: { listeners: readonly Listener[] },
  listener: Listener,
  onEnd: () => void = () => {},
): () => void {
  to.listeners = [...to.listeners, listener];
  let isActive = true;
  return () => {
    if (!isActive) return;
    isActive = false;
    const at = to.listeners.indexOf(listener);
    to.listeners = to.listeners.filter((_, index) => index !== at);
    onEnd();
  };
}

export function subscribeRecord(state: CacheState, ref: RecordRef, listener: Listener): () => void {
  const node = nodeOf(state, typeOf(state, ref.type), ref.id);
  const extra = extraOf(node);
  if (extra.listeners.length === 0 && !snapshotOf(node).isKnown) state.step.unknown.push(node);
  return listen(extra, listener, () => dropIfEmpty(state, node));
}

export function subscribeQuery(state: CacheState, key: QueryKey, listener: Listener): () => void {
  const query = queryOf(state, key);
  query.used = state.tick;
  refresh(state, query);
  if (query.isStale) state.step.stale.push(query);
  return listen(query, listener);
}

export function stats(state: CacheState): CacheStats {
  const { recordCount, queries, pending, hits, misses, evictions, limits, work } = state;
  const bytes = bytesIn(state);
  const isOverBounds =
    recordCount > limits.records || queries.size > limits.queries || bytes > limits.bytes;
  const counts = { records: recordCount, queries: queries.size, pending: pending.length };
  return { ...counts, bytes, hits, misses, evictions, isOverBounds, work: { ...work } };
}
