import { nodeOf, typeOf, weigh } from "./nodes.ts";
import { putStoredList, queryOf } from "./queries.ts";
import type { CacheState, QueryNode, RecordNode } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import type { StoredCache, StoredQuery, StoredRecord } from "./snapshot.ts";

function toStoredRecord({ type, id, base, version, sequence }: RecordNode): StoredRecord {
  return { type: type.name, id, record: base, version, sequence };
}

function toStoredQuery(query: QueryNode): StoredQuery {
  const { key, type, base, values, sequence, expiresAt, isStale, isComplete } = query;
  const data = type === null ? values : base.map(({ id }) => id);
  const { scopes, types } = query;
  return { key, data, sequence, expiresAt, isStale, isComplete, scopes, types };
}

/** The base of a record to be stored; null: to be removed from the store. */
export function storedRecord(state: CacheState, ref: RecordRef): StoredRecord | null {
  const node = state.types.get(ref.type)?.nodes.get(ref.id);
  return node === undefined || node.sequence < 0 ? null : toStoredRecord(node);
}

export function storedQuery(state: CacheState, key: QueryKey): StoredQuery | null {
  const query = state.queries.get(key.text);
  return query === undefined || !query.isAnswered ? null : toStoredQuery(query);
}

export function dump(state: CacheState): StoredCache {
  const nodes = [...state.types.values()].flatMap((type) => [...type.nodes.values()]);
  const queries = [...state.queries.values()].filter(({ isAnswered }) => isAnswered);
  return {
    cursor: state.cursor,
    records: nodes.filter(({ sequence }) => sequence >= 0).map(toStoredRecord),
    queries: queries.map(toStoredQuery),
  };
}

/** Serves what was stored; the stream goes on from its cursor. */
export function load(state: CacheState, stored: StoredCache): void {
  for (const { type, id, record, version, sequence } of stored.records) {
    const node = nodeOf(state, typeOf(state, type), id);
    Object.assign(node, { base: record, version, sequence, used: state.tick - 1 });
    weigh(state, record);
  }
  for (const query of stored.queries) putStoredList(state, queryOf(state, query.key), query);
  state.cursor = stored.cursor;
  state.floor = stored.cursor;
}
