import { extraOf, nodeOf, typeOf, unknownSnapshot } from "./nodes.ts";
import { dropIfEmpty } from "./overlay.ts";
import { loadingSnapshot, markStale, queryOf, refresh } from "./queries.ts";
import { snapshotOf } from "./step.ts";
import type { CacheState, Listener } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import type { QuerySnapshot, Reader, RecordSnapshot } from "./snapshot.ts";

export function readRecord(state: CacheState, type: string, id: string): RecordSnapshot {
  const node = state.types.get(type)?.nodes.get(id);
  if (node === undefined) return unknownSnapshot;
  node.used = state.tick + 1;
  return snapshotOf(node);
}

export function readQuery(state: CacheState, key: QueryKey): QuerySnapshot {
  const query = state.queries.get(key.text);
  if (query === undefined) return loadingSnapshot;
  query.used = state.tick + 1;
  refresh(state, query);
  return query.snapshot;
}

/** Adds a listener; what it answers takes it out again, once. */
function listen(
  to: { listeners: readonly Listener[] },
  listener: Listener,
  onEnd: () => void,
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

export function subscribeQuery(
  state: CacheState,
  key: QueryKey,
  { listener, policy, now = 0 }: Reader & { readonly listener: Listener },
): () => void {
  const query = queryOf(state, key);
  const asks = policy === "cache-only" ? 0 : 1;
  query.used = state.tick;
  query.askers += asks;
  if (query.expiresAt <= now || policy === "network-only") markStale(state, query, 0);
  refresh(state, query);
  if (query.isStale) state.step.stale.push(query);
  state[query.isStale ? "misses" : "hits"] += 1;
  return listen(query, listener, () => {
    query.askers -= asks;
  });
}
