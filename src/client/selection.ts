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

function isSelected(query: QueryNode, selector: QuerySelector): boolean {
  const { type, scopes, query: key = query.key, record } = selector;
  const { text } = query.key;
  return (
    key.text === text &&
    (type === undefined || query.types.includes(type)) &&
    (scopes?.some((scope) => query.scopes.includes(scope)) ?? true) &&
    (record === undefined ||
      query.base.some((node) => node.id === record.id && node.type.name === record.type))
  );
}

export function expire(state: CacheState, now: number): void {
  for (const query of state.queries.values())
    if (!query.isStale && query.expiresAt <= now) markStale(state, query, 0);
}

export function invalidate(state: CacheState, selector: QuerySelector = {}): void {
  for (const query of state.queries.values()) {
    if (isSelected(query, selector)) invalidateQuery(state, query);
  }
}
