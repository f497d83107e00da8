import type { ClientRecord, RecordRef, TypedRecord } from "./record.ts";
import type { QueryKey } from "./query-key.ts";

/** A server's answer to a query. */
export interface Answer {
  /** Ids in order when the query returns records, else its values. */
  readonly data: readonly unknown[];
  readonly records: readonly TypedRecord[];
  /** The answer is at least as new as this. */
  readonly sequence: number;
  readonly ttlMs: number;
  readonly scopes: readonly string[];
  /** Types whose changes make the answer stale, unless its rule places them. */
  readonly types: readonly string[];
}

/**
 * What is held shows at once, whatever the policy. "stale-while-revalidate", the default, asks again
 * for what is stale, "network-only" at each subscription too, "cache-only" never.
 */
export type QueryPolicy = "stale-while-revalidate" | "network-only" | "cache-only";

export interface Reader {
  readonly policy?: QueryPolicy | undefined;
  /** An answer past its time is stale. */
  readonly now?: number;
}

export interface RecordSnapshot {
  readonly data: ClientRecord | null;
  /** A mutation that is not yet part of the base has a say in `data`. */
  readonly isPending: boolean;
  /** False: never heard of it, `data: null` does not mean that it was deleted. */
  readonly isKnown: boolean;
  /** Why it is not known, when it was asked for in vain. */
  readonly problem: unknown;
}

export interface QuerySnapshot {
  readonly data: readonly unknown[];
  readonly status: "loading" | "ready" | "error";
  readonly isStale: boolean;
  readonly isFetching: boolean;
  /** It has all that there is. False until the first answer, and when more may come behind its `limit`. */
  readonly isComplete: boolean;
  readonly problem: unknown;
  /** The sequence of the answer it rests on; 0 before the first. */
  readonly sequence: number;
}

/** What a step changed of the base; read the new state with `storedRecord` and `storedQuery`. */
export interface DirtySet {
  readonly records: readonly RecordRef[];
  readonly queries: readonly QueryKey[];
  readonly cursor: number;
}

export interface StoredRecord {
  readonly type: string;
  readonly id: string;
  /** null: known to be deleted. */
  readonly record: ClientRecord | null;
  readonly version: number;
  readonly sequence: number;
  /** As of an earlier sequence it may be old. */
  readonly doubtedBefore?: number;
}

export interface StoredQuery {
  readonly key: QueryKey;
  /** Ids, or values when the query returns none. */
  readonly data: readonly unknown[];
  readonly sequence: number;
  readonly expiresAt: number;
  readonly isStale: boolean;
  readonly isComplete: boolean;
  readonly scopes: readonly string[];
  readonly types: readonly string[];
}

/** By type: records as of an earlier sequence may have been changed by a bulk operation. */
export type Doubts = Readonly<Record<string, number>>;

export interface StoredCache {
  readonly cursor: number;
  readonly doubts: Doubts;
  readonly records: readonly StoredRecord[];
  readonly queries: readonly StoredQuery[];
}

export interface CacheStats {
  readonly records: number;
  readonly queries: number;
  readonly pending: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  /** Records or queries beyond the bounds that are in use and therefore stay. */
  readonly isOverBounds: boolean;
  readonly work: Readonly<CacheWork>;
}

/** What the cache did, counted: tests assert that an event costs only what it touches. */
export interface CacheWork {
  /** Calls of `matches` rules. */
  matched: number;
  /** Lists put together again. */
  rebuilt: number;
  /** Mutations run, first or again. */
  replayed: number;
  notified: number;
}
