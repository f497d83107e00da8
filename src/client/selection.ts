import { owns } from "./nodes.ts";
import { invalidateQuery, markStale } from "./queries.ts";
import type { CacheState, QueryNode } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";

/** Names queries to invalidate: those that agree with all that is given. */
export interface QuerySelector {
  readonly type?: string;
  readonly scopes?: readonly string[];
  readonly query?: QueryKey;
  /** Queries that hold this record. */
  readonly record?: RecordRef;
}

function isSelected(state: CacheState, query: QueryNode, selector: QuerySelector): boolean {
  const { type, scopes, query: key, record } = selector;
  if (key !== undefined && key.text !== query.key.text) return false;
  if (type !== undefined && !query.types.includes(type)) return false;
  if (scopes !== undefined && !scopes.some((scope) => query.scopes.includes(scope))) return false;
  if (record === undefined) return true;
  const node = state.types.get(record.type)?.nodes.get(record.id);
  return node !== undefined && owns(query, node);
}

export function expire(state: CacheState, now: number): void {
  for (const query of state.queries.values())
    if (!query.isStale && query.expiresAt <= now) markStale(state, query, 0);
}

export function invalidate(state: CacheState, selector: QuerySelector = {}): void {
  for (const query of state.queries.values()) {
    if (isSelected(state, query, selector)) invalidateQuery(state, query);
  }
}
