import { createId } from "../base/id.ts";
import type { AnyRegistry } from "../resource/infer.ts";
import type {
  MutationHandle,
  QueryHandle,
  RecordHandle,
  Store,
  SyncStatus,
  TypedClient,
  TypedQuerySnapshot,
  TypedRecordSnapshot,
} from "./api.ts";
import type { CacheHandle } from "./cache.ts";
import { createEngine } from "./engine.ts";
import type { ClientOptions, Engine } from "./engine.ts";
import { startEngine } from "./life.ts";
import type { ClientChange, MutationRequest } from "./mutation.ts";
import { toQueryKey } from "./query-key.ts";
import type { QuerySelector } from "./selection.ts";
import type { QueryPolicy } from "./snapshot.ts";
import type { ClientRecord } from "./record.ts";
import { closed } from "./status.ts";
import { toError } from "./transport.ts";
import type { TokenSource, TransportRequest } from "./transport.ts";
import type { ClientEvent } from "./wire.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A library, as an application holds it: reads from memory, writes at once, also without a network. */
export interface Client<Source extends AnyRegistry = AnyRegistry> extends TypedClient<Source> {
  /** Resolves once the disk was read; reads answer from it without the network from then on. */
  readonly ready: Promise<void>;
  /** Tells of every event from now on, those without a sequence included; null when the client is closed. */
  readonly onEvent: (listener: (event: ClientEvent | null) => void) => () => void;
  /** One request below the library's path, in wire names. Fails with its problem. */
  readonly request: (
    path: string,
    request?: Pick<TransportRequest, "body" | "query">,
  ) => Promise<Fields>;
  /** Resolves when nothing waits to be sent and everything known of has arrived. */
  synced(): Promise<void>;
  /** Resolves when the base has reached `sequence`. */
  waitFor(sequence: number): Promise<void>;
  /** Marks answers stale; those with subscribers are asked for again. */
  readonly invalidate: (selector?: QuerySelector) => void;
  setOffline(isOffline: boolean): void;
  setToken(token: TokenSource): void;
  /** For `statsOf`. */
  readonly cache: CacheHandle;
  /** Stores what is not stored yet and stops. The queue is sent when the client is opened again. */
  close(): Promise<void>;
  /** Closes, in every tab, and deletes what is on disk, the queue included. */
  signOut(): Promise<void>;
}

/** A batch of the public API: the id of a new record may stand in its data, or be minted. */
function toChange(one: Omit<ClientChange, "id"> & { readonly id?: string }): ClientChange {
  const { id: given, ...data } = (one.data ?? {}) as Fields & { id?: string };
  const id = one.id ?? given ?? createId();
  return { ...one, id, data: one.data && data };
}

/** The cache keeps problems unread; what comes into it is a `ClientProblem`. */
function createReads({ cache, clock, requests }: Engine) {
  return {
    query: (name: string, input: Fields = {}, policy?: QueryPolicy): QueryHandle => {
      const key = toQueryKey(name, input);
      return {
        key,
        getSnapshot: () => cache.query(key) as TypedQuerySnapshot<unknown>,
        // What is stale then, or unknown, is asked for; see `onStale`.
        subscribe: (listener) => cache.subscribeQuery(key, listener, { policy, now: clock.now() }),
        refetch: () => requests.fetchQuery(key),
      };
    },
    record: (type: string, id: string): RecordHandle => ({
      getSnapshot: () => cache.record(type, id) as TypedRecordSnapshot<ClientRecord>,
      subscribe: (listener) => cache.subscribeRecord(type, id, listener),
    }),
  };
}

function createWrites({ life, outbox }: Engine) {
  const mutate = (request: MutationRequest): MutationHandle => {
    if (life.isClosed) throw toError(closed);
    // As it will be sent: what cannot be would hold up all behind it, and nobody changes it any more.
    return outbox.mutate(JSON.parse(JSON.stringify(request)) as MutationRequest);
  };
  const change = (one: ClientChange): MutationHandle => mutate({ kind: "commit", change: one });
  return {
    insert: (type: string, data: Fields) => change(toChange({ operation: "insert", type, data })),
    upsert: (type: string, data: Fields) => change(toChange({ operation: "upsert", type, data })),
    update: (type: string, id: string, data: Fields) =>
      change({ operation: "update", type, id, data }),
    delete: (type: string, id: string) => change({ operation: "delete", type, id }),
    batch: (changes: readonly Parameters<typeof toChange>[0][]) =>
      mutate({ kind: "batch", changes: changes.map(toChange) }),
    action: (name: string, input: Fields = {}) => mutate({ kind: "action", name, input }),
  };
}

/** Opens a library. Nothing has to be awaited: reads and writes work at once. */
export function createClient<Source extends AnyRegistry = AnyRegistry>(
  options: ClientOptions,
): Client<Source> {
  const engine = createEngine(options, () => void stop(() => keeper.close()));
  const { cache, events, keeper, tabs, session, status, transport } = engine;
  const { ready, stop } = startEngine(engine);
  const client = {
    ready,
    ...createReads(engine),
    ...createWrites(engine),
    invalidate: cache.invalidate,
    status: status as Store<SyncStatus>,
    onEvent: events.on,
    request: transport.json,
    synced: () =>
      status.until(
        ({ connection, pendingCount, cursor, head }) =>
          connection === "live" &&
          pendingCount === 0 &&
          cursor >= head &&
          cache.state.pending.length === 0,
      ),
    waitFor: (sequence: number) => status.until(({ cursor }) => cursor >= sequence),
    setOffline: (isOffline: boolean) => {
      session.setPaused(isOffline);
      status.refresh();
    },
    setToken: (token: TokenSource) => session.setToken(token),
    cache,
    close: () => stop(),
    signOut: () => stop(() => tabs.signOut().then(keeper.destroy)),
  };
  // The registry gives the names their types; what runs is the same for all.
  return client as unknown as Client<Source>;
}
