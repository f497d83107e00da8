import type { Clock } from "../base/clock.ts";
import type { Cache } from "./cache.ts";
import type { Identity } from "./feed.ts";
import type { QueuedMutation } from "./mutation.ts";
import type { ClientRules } from "./rules.ts";
import type { Doubts, StoredQuery, StoredRecord } from "./snapshot.ts";

/** What a stored base is a copy of, and up to where. */
export interface StoredMeta extends Identity {
  readonly cursor: number;
  readonly doubts?: Doubts;
}

/** One step of the base: stored whole or not at all, together with the cursor it leads to. */
export interface PersistedStep {
  readonly meta: StoredMeta;
  /** The base begins afresh: what was stored before this step is dropped with it. */
  readonly isFresh: boolean;
  readonly records: readonly StoredRecord[];
  readonly queries: readonly StoredQuery[];
  readonly droppedRecords: readonly { readonly type: string; readonly id: string }[];
  /** By the text of their keys. */
  readonly droppedQueries: readonly string[];
}

/** What the disk says, unchecked: rows may be damaged or of another version. */
export interface PersistedState {
  readonly meta: unknown;
  readonly records: readonly unknown[];
  readonly queries: readonly unknown[];
}

/** Where a client keeps its base and its waiting mutations. `test/suites/persistence.ts` holds each. */
export interface Persistence {
  /** `createKeeper`. It comes along with a disk, so that a client without one does not load it. */
  readonly keep: (disk: Persistence, parts: KeeperParts) => Keeper;
  load(): Promise<PersistedState>;
  /** Waiting and refused mutations, in the order in which they were added. */
  loadQueue(): Promise<readonly unknown[]>;
  save(step: PersistedStep): Promise<void>;
  /** All or none; durable once it resolves. A known id keeps its place and is replaced. */
  putMutations(mutations: readonly QueuedMutation[]): Promise<void>;
  /** All or none. */
  dropMutations(ids: readonly string[]): Promise<void>;
  close(): Promise<void>;
  /** Deletes everything, and closes. */
  destroy(): Promise<void>;
}

export interface KeeperParts {
  readonly cache: Cache;
  readonly rules: ClientRules;
  readonly clock: Clock;
  /** Of the records on disk, by estimate. */
  readonly bytesMax: number;
  /** What the base is a copy of. */
  readonly identity: () => Identity | null;
  readonly onComplaint: (detail: string) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Reads what a disk has, and writes the base behind the cache: rows and the cursor they lead to in one transaction. */
export interface Keeper extends Pick<
  Persistence,
  "putMutations" | "dropMutations" | "close" | "destroy"
> {
  /** Into the cache, unless the client was closed meanwhile. Answers what it is a copy of, if anything. */
  load(life: { readonly isClosed: boolean }): Promise<Identity | null>;
  loadQueue(): Promise<readonly QueuedMutation[]>;
  /** The next step replaces what is stored by what the cache holds. */
  startFresh(): void;
  /** Only one tab writes. One that begins to replaces what another left, which may be older or newer. */
  setWriting(isWriting: boolean, isDiskOurs: boolean): void;
  /** Resolves when everything noted so far is stored. */
  flush(): Promise<void>;
}

const nothing = async (): Promise<void> => {};

/** Of a client without a disk: what waits lives as long as it does. */
export const nowhere: Keeper = {
  load: async () => null,
  loadQueue: async () => [],
  putMutations: nothing,
  dropMutations: nothing,
  startFresh: () => {},
  setWriting: () => {},
  flush: nothing,
  close: nothing,
  destroy: nothing,
};
