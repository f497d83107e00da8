import {
  advance,
  applyEvent,
  confirm,
  putAnswer,
  putMissing,
  putRecords,
  start,
} from "./incoming.ts";
import { newStep } from "./nodes.ts";
import { addPending, reject } from "./overlay.ts";
import { noteQuery } from "./queries.ts";
import { askAll, noteRecord } from "./records.ts";
import { readQuery, readRecord, subscribeQuery, subscribeRecord } from "./reads.ts";
import { expire, invalidate } from "./selection.ts";
import { run } from "./step.ts";
import type { CacheHooks, CacheLimits, CacheState } from "./nodes.ts";
import type { QuerySelector } from "./selection.ts";
import type { ChangeEvent, RecordRef, TypedRecord } from "./record.ts";
import type { QueryKey } from "./query-key.ts";
import type { ClientRules, Mutation } from "./rules.ts";
import type { Answer, QuerySnapshot, Reader, RecordSnapshot } from "./snapshot.ts";

/** What functions beside the cache need of it, which not every page loads. */
export interface CacheHandle {
  readonly state: CacheState;
}

/** The normalized cache of one library: synchronous, no clock, no timers, no I/O. */
export interface Cache extends CacheHooks, CacheHandle {
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
  /** Why asking for it failed; null while it is under way, and `onStale` does not name it meanwhile. */
  noteQuery(key: QueryKey, problem: unknown): void;
  /** The same; answers whether there is such a record, known or looked at. */
  noteRecord(ref: RecordRef, problem: unknown): boolean;
  /** Names all that is stale and looked at once more, or what failed for this problem. */
  readonly askAll: (problem?: unknown) => void;
  readonly invalidate: (selector?: QuerySelector) => void;
  /** Marks what is past its time stale. */
  expire(now: number): void;

  /** Visible at once. Throws what `apply` throws, then nothing was done. */
  mutate(mutation: Mutation): void;
  /** The reply: dropped as soon as the base has it, by events or by `records`. null: it changed nothing. */
  confirm(mutationId: string, sequence: number | null, records?: readonly TypedRecord[]): void;
  /** Rolled back; the others stay. */
  reject(mutationId: string): void;

  record(type: string, id: string): RecordSnapshot;
  query(key: QueryKey): QuerySnapshot;
  subscribeRecord(type: string, id: string, listener: () => void): () => void;
  /** Subscribed queries and their records are never evicted, and asked for again when stale. */
  subscribeQuery(key: QueryKey, listener: () => void, reader?: Reader): () => void;
}

export interface CacheOptions {
  readonly rules: ClientRules;
  /** 10,000 records (evicted down to 90 %), 100 queries, 100 MB by estimate (CACHE-47). */
  readonly limits?: Partial<CacheLimits>;
}

function newState({ rules, limits }: CacheOptions, hooks: CacheHooks): CacheState {
  const bounds = { records: 10_000, queries: 100, bytes: 100_000_000, ...limits };
  return {
    rules,
    limits: bounds,
    types: new Map(),
    queries: new Map(),
    pending: [],
    cursor: -1,
    floor: 0,
    recordCount: 0,
    weighed: { seen: 0, count: 0, bytes: 0 },
    rebased: new Set(),
    tick: 0,
    depth: 0,
    order: 0,
    step: newStep(-1),
    evictAbove: 1,
    hits: 0,
    misses: 0,
    evictions: 0,
    work: { matched: 0, rebuilt: 0, replayed: 0, notified: 0 },
    hooks,
  };
}

/** Makes an empty cache. Every method that changes it is one step unless it is inside `batch`. */
export function createCache(options: CacheOptions): Cache {
  const hooks: Pick<Cache, "cursor" | keyof CacheHooks> = {
    onStale: () => {},
    onDirty: null,
    get cursor() {
      return state.cursor;
    },
  };
  const state = newState(options, hooks);
  const step = <Result>(work: () => Result) => run(state, work);
  // Two arguments, needed or not: a list of them would cost each event a little.
  const stepOf =
    <Given, More, Result>(work: (state: CacheState, given: Given, more: More) => Result) =>
    (given: Given, more?: More) =>
      run(state, () => work(state, given, more as More));
  return Object.assign(hooks, {
    start: stepOf(start),
    batch: step,
    applyEvent: stepOf(applyEvent),
    advance: stepOf(advance),
    putAnswer: (key: QueryKey, answer: Answer, now: number) =>
      step(() => putAnswer(state, key, { answer, now })),
    putRecords: stepOf(putRecords),
    putMissing: stepOf(putMissing),
    noteQuery: stepOf(noteQuery),
    noteRecord: stepOf(noteRecord),
    askAll: stepOf(askAll),
    invalidate: stepOf(invalidate),
    expire: stepOf(expire),
    mutate: stepOf(addPending),
    confirm: (id: string, sequence: number | null, records: readonly TypedRecord[] = []) =>
      step(() => confirm(state, { id, sequence, records })),
    reject: stepOf(reject),
    record: (type: string, id: string) => readRecord(state, type, id),
    query: (key: QueryKey) => readQuery(state, key),
    subscribeRecord: (type: string, id: string, listener: () => void) =>
      step(() => subscribeRecord(state, { type, id }, listener)),
    subscribeQuery: (key: QueryKey, listener: () => void, reader?: Reader) =>
      step(() => subscribeQuery(state, key, { listener, ...reader })),
    state,
  });
}
