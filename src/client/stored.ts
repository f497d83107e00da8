import { extraOf, markDirty, nodeOf, typeOf, weigh } from "./nodes.ts";
import { enterIndex, isAlive, queryOf, setMembers, watchTypes } from "./queries.ts";
import { run } from "./step.ts";
import type { CacheState, QueryNode, RecordNode } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import type { Doubts, StoredCache, StoredQuery, StoredRecord } from "./snapshot.ts";

function toStoredRecord(node: RecordNode): StoredRecord {
  const { type, id, base, version, sequence, extra } = node;
  const stored = { type: type.name, id, record: base, version, sequence };
  const doubtedBefore = extra?.doubtedBefore ?? 0;
  return doubtedBefore > sequence ? { ...stored, doubtedBefore } : stored;
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

export function doubtsOf({ types }: CacheState): Doubts {
  const doubted = [...types.values()].filter(({ doubtedBefore }) => doubtedBefore > 0);
  return Object.fromEntries(doubted.map(({ name, doubtedBefore }) => [name, doubtedBefore]));
}

export function dump(state: CacheState): StoredCache {
  const nodes = [...state.types.values()].flatMap((type) => [...type.nodes.values()]);
  const queries = [...state.queries.values()].filter(({ isAnswered }) => isAnswered);
  return {
    cursor: state.cursor,
    doubts: doubtsOf(state),
    records: nodes.filter(({ sequence }) => sequence >= 0).map(toStoredRecord),
    queries: queries.map(toStoredQuery),
  };
}

/** Takes a list that was stored; a member that was not makes it stale. */
function putStoredList(state: CacheState, query: QueryNode, stored: StoredQuery): void {
  const { sequence, expiresAt, isComplete, scopes, types } = stored;
  const { type } = query;
  Object.assign(query, { sequence, expiresAt, isComplete, scopes, types, isAnswered: true });
  query.isStale = stored.isStale;
  if (type === null) query.values = stored.data;
  else {
    const members = stored.data.map((id) => type.nodes.get(String(id)));
    setMembers(query, members.filter(isAlive));
    if (query.base.length < members.length) query.isStale = true;
    enterIndex(query);
  }
  if (!query.isStale) watchTypes(state, query);
  markDirty(state, query);
}

function take(state: CacheState, stored: StoredCache): void {
  for (const [name, sequence] of Object.entries(stored.doubts))
    typeOf(state, name).doubtedBefore = sequence;
  for (const { type, id, record, version, sequence, doubtedBefore } of stored.records) {
    const store = typeOf(state, type);
    const node = nodeOf(state, store, id);
    Object.assign(node, { base: record, version, sequence, used: state.tick - 1 });
    store.learnedAt = Math.max(store.learnedAt, sequence);
    if (doubtedBefore !== undefined) extraOf(node).doubtedBefore = doubtedBefore;
    weigh(state, record);
  }
  for (const query of stored.queries) putStoredList(state, queryOf(state, query.key), query);
  state.cursor = stored.cursor;
  state.floor = stored.cursor;
}

/** Into an empty cache, before `start`: serves what was stored; the stream goes on from its cursor. */
export function load(state: CacheState, stored: StoredCache): void {
  run(state, () => take(state, stored));
}
