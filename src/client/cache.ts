import type { ChangeEvent, RecordRef, TypedRecord } from "./record.ts";
import type { QueryKey } from "./query-key.ts";
import type { ClientRules, Mutation } from "./rules.ts";
import type {
  Answer,
  CacheStats,
  DirtySet,
  QueryPolicy,
  QuerySnapshot,
  RecordSnapshot,
  StoredCache,
  StoredQuery,
  StoredRecord,
} from "./snapshot.ts";

/** The normalized cache of one library: synchronous, no clock, no timers, no I/O. */
export interface Cache {
  /** The base is complete up to here; -1 before `start` or `load`. */
  readonly cursor: number;
  /** The first head; later: a reset. What was known is then shown as stale until it is answered anew. */
  start(cursor: number): void;
  /** Several steps, one notification: the events of one chunk or one transaction. */
  batch(steps: () => void): void;
  applyEvent(event: ChangeEvent): "applied" | "duplicate" | "gap";
  /** Skip frames and heartbeat heads: the base is complete up to `sequence`. */
  advance(sequence: number): void;
  putAnswer(key: QueryKey, answer: Answer, now: number): void;
  putRecords(records: readonly TypedRecord[], sequence: number): void;
  /** The server answered that there is no such record. */
  putMissing(ref: RecordRef, sequence: number): void;
  failQuery(key: QueryKey, problem: unknown): void;
  /** A request for it is under way: `onStale` will not name it again until it is answered or failed. */
  beginFetch(key: QueryKey): void;
  invalidate(selector?: {
    readonly type?: string;
    readonly scopes?: readonly string[];
    readonly query?: QueryKey;
    /** Queries that hold this record. */
    readonly record?: RecordRef;
  }): void;
  /** Marks what is past its time stale; answers when to call again, or null. */
  expire(now: number): number | null;

  /** Visible at once. Throws what `apply` throws, then nothing was done. */
  mutate(mutation: Mutation): void;
  /** The reply: dropped as soon as the base has it, by events or by `records`. null: it changed nothing. */
  confirm(mutationId: string, sequence: number | null, records?: readonly TypedRecord[]): void;
  /** Rolled back; the others stay. */
  reject(mutationId: string): void;

  record(type: string, id: string): RecordSnapshot;
  query(key: QueryKey): QuerySnapshot;
  /** What a reader should do under `policy`; counts hits and misses. "miss": only for cache-only. */
  lookup(
    key: QueryKey,
    policy: QueryPolicy,
    now: number,
  ): "hit" | "hit-and-fetch" | "fetch" | "miss";
  subscribeRecord(type: string, id: string, listener: () => void): () => void;
  /** Subscribed queries and their records are never evicted, and asked for again when stale. */
  subscribeQuery(key: QueryKey, listener: () => void): () => void;
  /**
   * Set by the client: ask for these, with `min_sequence` = `cursor`. Named once until answered
   * or failed. Records are those with a subscriber whose content could not travel.
   */
  onStale: (keys: readonly QueryKey[], records: readonly RecordRef[]) => void;
  /** Set by the client when it persists: called after each step that changed the base. */
  onDirty: ((dirty: DirtySet) => void) | null;

  storedRecord(ref: RecordRef): StoredRecord | null;
  storedQuery(key: QueryKey): StoredQuery | null;
  dump(): StoredCache;
  /** Into an empty cache, before `start`; everything is served at once. */
  load(stored: StoredCache): void;
  stats(): CacheStats;
}

export interface CacheOptions {
  readonly rules: ClientRules;
  /** 10,000 records (evicted down to 90 %), 100 queries, 100 MB by estimate. */
  readonly limits?: Partial<CacheLimits>;
}

export interface CacheLimits {
  readonly records: number;
  readonly queries: number;
  readonly bytes: number;
}
