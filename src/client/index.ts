/**
 * The client: a library in memory, on disk and up to date.
 *
 * @module
 */
export { createClient } from "./client.ts";
export type { Client } from "./client.ts";
export type { ClientOptions } from "./engine.ts";
export { openConflicts } from "./conflicts.ts";
export type { Conflict, Conflicts, Resolution } from "./conflicts.ts";
export { eventsOf } from "./event-feed.ts";
export type {
  BatchChange,
  MutationHandle,
  MutationReceipt,
  MutationSnapshot,
  QueryHandle,
  RecordHandle,
  RejectedMutation,
  Store,
  SyncStatus,
  TypedClient,
} from "./api.ts";
export { openIndexedDb } from "./indexed-db.ts";
export { openJobs } from "./jobs.ts";
export type { Job, Jobs } from "./jobs.ts";
export { createKeeper } from "./keeper.ts";
export { createMemoryDisk, openMemory } from "./memory.ts";
export type { MemoryDisk } from "./memory.ts";
export type { ClientChange, MutationRequest } from "./mutation.ts";
export type { PersistedState, PersistedStep, Persistence } from "./persistence.ts";
export { toQueryKey } from "./query-key.ts";
export type { QueryKey } from "./query-key.ts";
export type { ChangeEvent, ClientRecord } from "./record.ts";
export type { ActionRule, ClientRules, Draft, QueryRule } from "./rules.ts";
export type { QuerySelector } from "./selection.ts";
export type { CacheStats, QueryPolicy, QuerySnapshot, RecordSnapshot } from "./snapshot.ts";
export { statsOf } from "./stats.ts";
export { openTabs } from "./tabs.ts";
export type { Tabs } from "./tabs.ts";
export type { ClientError, ClientProblem, TokenSource } from "./transport.ts";
export type { ClientEvent } from "./wire.ts";
