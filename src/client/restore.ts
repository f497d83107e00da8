import { isQueuedMutation } from "./mutation.ts";
import type { QueuedMutation } from "./mutation.ts";
import type { Identity } from "./feed.ts";
import type { PersistedState } from "./persistence.ts";
import { recordKey } from "./record.ts";
import type { ClientRules } from "./rules.ts";
import type { Doubts, StoredCache, StoredQuery, StoredRecord } from "./snapshot.ts";
import { isFields } from "./wire.ts";

const isCount = (value: unknown): value is number => Number.isSafeInteger(value);
const isList = (value: unknown): boolean => Array.isArray(value);

function isDoubts(value: unknown): value is Doubts {
  return isFields(value) && Object.values(value).every(isCount);
}

function isStoredRecord(row: unknown): row is StoredRecord {
  if (!isFields(row)) return false;
  const { type, id, record, version, sequence, doubtedBefore = 0 } = row;
  if (typeof type !== "string" || typeof id !== "string") return false;
  if (![version, sequence, doubtedBefore].every(isCount)) return false;
  return record === null || (isFields(record) && record["id"] === id && isCount(record["version"]));
}

function isStoredQuery(row: unknown): row is StoredQuery {
  if (!isFields(row) || !isFields(row["key"])) return false;
  const { key, data, sequence, expiresAt, scopes, types } = row;
  const { name, input, text } = key;
  const isKey = typeof name === "string" && typeof text === "string" && isFields(input);
  return (
    isKey &&
    isList(data) &&
    isCount(sequence) &&
    isCount(expiresAt) &&
    isList(scopes) &&
    isList(types)
  );
}

export interface Restored {
  readonly identity: Identity;
  readonly cache: StoredCache;
  /** Rows that were damaged; what they belonged to is asked for again. */
  readonly damagedCount: number;
}

/** What of the disk can be trusted; null when it says nothing. */
export function toRestored(state: PersistedState, rules: ClientRules): Restored | null {
  const { meta } = state;
  if (!isFields(meta) || !isCount(meta["cursor"])) return null;
  const { cursor, historyId, registryHash, doubts = {} } = meta;
  if (typeof historyId !== "string" || typeof registryHash !== "string") return null;
  if (!isDoubts(doubts)) return null;
  const records = state.records.filter(isStoredRecord);
  const sound = state.queries.filter(isStoredQuery);
  const damagedCount = state.records.length + state.queries.length - records.length - sound.length;
  const known = new Set(records.map(recordKey));
  const queries = sound.map((query): StoredQuery => {
    const returns = rules.queries[query.key.name]?.returns ?? query.types[0];
    if (returns === undefined) return query;
    const data = query.data.filter((id) => known.has(`${returns}:${String(id)}`));
    if (data.length === query.data.length) return query;
    return { ...query, data, isStale: true, isComplete: false };
  });
  return {
    identity: { historyId, registryHash },
    cache: { cursor, doubts, records, queries },
    damagedCount,
  };
}

export function toQueue(rows: readonly unknown[]): {
  readonly mutations: readonly QueuedMutation[];
  readonly damagedCount: number;
} {
  const mutations = rows.filter(isQueuedMutation);
  return { mutations, damagedCount: rows.length - mutations.length };
}
