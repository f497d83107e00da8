import { createId } from "../base/id.ts";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import type { AnyRegistry } from "../resource/infer.ts";
import type {
  MutationHandle,
  QueryHandle,
  RecordHandle,
  Store,
  SyncStatus,
  TypedClient,
} from "./api.ts";
import { createCache } from "./cache.ts";
import { createConflicts } from "./conflicts.ts";
import type { Conflicts } from "./conflicts.ts";
import { createEventFeed } from "./event-feed.ts";
import { createFeed } from "./feed.ts";
import { createJournal } from "./journal.ts";
import type { ClientChange, MutationRequest } from "./mutation.ts";
import { createOutbox } from "./outbox.ts";
import { openMemory } from "./persistence.ts";
import type { Persistence } from "./persistence.ts";
import { toQueryKey } from "./query-key.ts";
import { createRequests } from "./requests.ts";
import { toQueue, toRestored } from "./restore.ts";
import type { ClientRules } from "./rules.ts";
import { createSession } from "./session.ts";
import type { CacheStats } from "./snapshot.ts";
import { mayRead, mayWrite, publicStates } from "./state.ts";
import { createStore } from "./store.ts";
import { createSoleTab } from "./tabs.ts";
import type { Tabs } from "./tabs.ts";
import { createTransport, toError } from "./transport.ts";
import type { ClientProblem, TokenSource } from "./transport.ts";
import type { ClientEvent } from "./wire.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface ClientOptions {
  readonly url: string;
  /** The id of the library. */
  readonly library: string;
  /** Asked again when the service refuses it. */
  readonly token: TokenSource;
  /** What the plugins say about their queries and actions, such as `plugins/rules`. */
  readonly rules: ClientRules;
  /** `openIndexedDb({ name })`; in memory when left out. */
  readonly persistence?: Persistence;
  /** `openTabs(name)`, with the name of the persistence, lets all tabs share one stream and one writer. */
  readonly tabs?: Tabs;
  readonly deviceId?: string;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** A stream that is silent for longer is opened again; 45 s, three heartbeats, by default. */
  readonly silenceMs?: number;
  /** Of the records on disk; 50 MB by default. */
  readonly diskBytesMax?: number;
  /** Told of what was not understood, not stored or not resumed; `status` keeps the last one. */
  readonly onProblem?: (problem: ClientProblem) => void;
}

/** A library, as an application holds it: reads from memory, writes at once, also without a network. */
export interface Client<Source extends AnyRegistry = AnyRegistry> extends TypedClient<Source> {
  /** Resolves once the disk was read; reads answer from it without the network from then on. */
  readonly ready: Promise<void>;
  /** Every event from now on, those without a sequence included. Ends when it is not kept up with. */
  events(): AsyncIterableIterator<ClientEvent>;
  /** Resolves when nothing waits to be sent and everything known of has arrived. */
  synced(): Promise<void>;
  /** Resolves when the base has reached `sequence`. */
  waitFor(sequence: number): Promise<void>;
  /** Late changes that a person decides. */
  readonly conflicts: Conflicts;
  setOffline(isOffline: boolean): void;
  setToken(token: TokenSource): void;
  stats(): CacheStats;
  /** Stores what is not stored yet and stops. The queue is sent when the client is opened again. */
  close(): Promise<void>;
  /** Closes, in every tab, and deletes what is on disk, the queue included. */
  signOut(): Promise<void>;
}

const closed: ClientProblem = {
  code: "closed",
  status: 0,
  detail: "The client was closed.",
  retry: "never",
};
/** How often answers past their time are looked for. */
const expiryMs = 5_000;

/** Calls back when the browser says that the network is back, or gone. */
function hearNetwork(onChange: (isThere: boolean) => void): () => void {
  if (typeof globalThis.addEventListener !== "function") return () => {};
  const tell = ({ type }: Event): void => onChange(type === "online");
  for (const type of ["online", "offline"]) globalThis.addEventListener(type, tell);
  return () => {
    for (const type of ["online", "offline"]) globalThis.removeEventListener(type, tell);
  };
}

/** A batch of the public API: the id of a new record may stand in its data, or be minted. */
function toChange(one: Omit<ClientChange, "id"> & { readonly id?: string }): ClientChange {
  const { id: given, ...data } = (one.data ?? {}) as Fields & { id?: string };
  const id = one.id ?? given ?? createId();
  return { ...one, id, ...(one.data === undefined ? {} : { data }) };
}

/** Opens a library. Nothing has to be awaited: reads and writes work at once. */
export function createClient<Source extends AnyRegistry = AnyRegistry>(
  options: ClientOptions,
): Client<Source> {
  const {
    rules,
    clock = systemClock,
    random = Math.random,
    persistence = openMemory(),
    tabs = createSoleTab(),
    silenceMs = 45_000,
    diskBytesMax = 50_000_000,
  } = options;
  const fetchIt = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
  const transport = createTransport({ ...options, fetch: fetchIt });
  const cache = createCache({ rules });
  const conflicts = createConflicts(transport);
  const events = createEventFeed();
  let problem: ClientProblem | null = null;
  let isClosed = false;

  const report = (next: ClientProblem): void => {
    problem = next;
    options.onProblem?.(next);
    refresh();
  };
  const onFailure = (error: unknown): void => {
    const detail = `The disk failed: ${error instanceof Error ? error.message : String(error)}`;
    report({ code: "storage_failed", status: 0, detail, retry: "later" });
  };
  const onComplaint = (detail: string): void =>
    report({ code: "unreadable", status: 0, detail, retry: "never" });

  const requests = createRequests({ cache, transport, clock, random });
  const feed = createFeed({
    cache,
    onStart: () => {
      requests.startAfresh();
      journal.startFresh();
    },
    onEvent: (event) => {
      if (event.kind.type === "ConflictDetected") conflicts.refresh();
      events.push(event);
    },
    onComplaint,
  });
  const journal = createJournal({
    cache,
    persistence,
    identity: () => feed.identity,
    clock,
    bytesMax: diskBytesMax,
    onFailure,
  });
  const outbox = createOutbox({
    cache,
    rules,
    persistence,
    transport,
    clock,
    random,
    createId,
    post: (message) => session.post(message),
    onChange: () => refresh(),
    onFailure,
  });
  const session = createSession({
    cache,
    feed,
    transport,
    tabs,
    clock,
    random,
    silenceMs,
    onLead: () => {
      if (isClosed) return;
      journal.setWriting(true, !session.hasHeardLeader);
      void loadQueue();
    },
    onState: (state, why) => {
      if (why !== null) {
        problem = why;
        options.onProblem?.(why);
      } else if (state === "live") {
        problem = null;
        conflicts.refresh();
      }
      requests.setOpen(mayRead(state) && cache.cursor >= 0);
      outbox.setActive(session.isLeader && mayWrite(state));
      refresh();
    },
    onApplied: () => refresh(),
    onOutbox: (message) => outbox.receive(message),
    onSignedOut: () => void stop(() => persistence.close()),
  });

  const statusOf = (): SyncStatus => ({
    connection: isClosed ? "closed" : publicStates[session.state],
    isPaused: session.isPaused,
    cursor: cache.cursor,
    head: Math.max(feed.head, cache.cursor),
    pendingCount: outbox.pendingCount,
    rejected: outbox.rejected,
    problem,
  });
  const status = createStore(statusOf());
  const refresh = (): void => {
    const next = statusOf();
    const now = status.getSnapshot();
    const names = Object.keys(next) as (keyof SyncStatus)[];
    if (names.some((name) => next[name] !== now[name])) status.set(next);
  };

  cache.onStale = (keys, records) => {
    for (const key of keys) requests.fetchQuery(key).catch(() => {});
    for (const ref of records) requests.fetchRecord(ref).catch(() => {});
  };
  cache.onDirty = (dirty) => journal.note(dirty);

  const loadQueue = async (): Promise<void> => {
    try {
      const { mutations, damagedCount } = toQueue(await persistence.loadQueue());
      if (damagedCount > 0) onComplaint(`${damagedCount} waiting mutations cannot be read.`);
      outbox.restore(mutations);
    } catch (error) {
      onFailure(error);
    }
  };
  const open = async (): Promise<void> => {
    try {
      const restored = toRestored(await persistence.load(), rules);
      if (restored !== null && !isClosed) {
        cache.load(restored.cache);
        feed.restore(restored.identity);
        if (restored.damagedCount > 0)
          onComplaint(
            `${restored.damagedCount} rows on disk were damaged; they are asked for again.`,
          );
      }
    } catch (error) {
      onFailure(error);
    }
    await loadQueue();
    if (isClosed) return;
    session.start();
    refresh();
  };
  const ready = open();
  const stopExpiring = clock.every(expiryMs, () => cache.expire(clock.now()));
  const stopHearing = hearNetwork((isThere) => session.hearNetwork(isThere));

  /** Ends this tab. `forget`: what is on disk goes too, so nothing is stored any more. */
  const stop = async (forget?: () => Promise<void>): Promise<void> => {
    if (isClosed) return;
    isClosed = forget !== undefined;
    if (forget !== undefined) journal.setWriting(false, false);
    await ready;
    await outbox.flush();
    await journal.flush();
    journal.setWriting(false, false);
    isClosed = true;
    stopExpiring();
    stopHearing();
    outbox.close();
    events.close();
    // The lead is given away last: whoever takes it must find the disk as it is to be.
    await (forget === undefined ? persistence.close() : forget());
    session.close();
    refresh();
  };
  const until = (isReached: (now: SyncStatus) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const now = status.getSnapshot();
        if (isReached(now)) resolve();
        else if (isClosed) reject(toError(closed));
        else return;
        end();
      };
      const end = status.subscribe(check);
      check();
    });
  const mutate = (request: MutationRequest): MutationHandle => {
    if (isClosed) throw toError(closed);
    return outbox.mutate(request);
  };
  const change = (one: ClientChange): MutationHandle => mutate({ kind: "commit", change: one });

  const client = {
    ready,
    query: (name: string, input: Fields = {}): QueryHandle => {
      const key = toQueryKey(name, input);
      return {
        key,
        getSnapshot: () => cache.query(key),
        subscribe: (listener) => {
          const end = cache.subscribeQuery(key, listener);
          const what = cache.lookup(key, "stale-while-revalidate", clock.now());
          if (what === "fetch" || what === "hit-and-fetch")
            requests.fetchQuery(key).catch(() => {});
          return end;
        },
        refetch: () => requests.fetchQuery(key),
      };
    },
    record: (type: string, id: string): RecordHandle => ({
      getSnapshot: () => cache.record(type, id),
      // Whoever subscribes to what is unknown has it asked for; see `onStale`.
      subscribe: (listener) => cache.subscribeRecord(type, id, listener),
    }),
    insert: (type: string, data: Fields) => change(toChange({ operation: "insert", type, data })),
    upsert: (type: string, data: Fields) => change(toChange({ operation: "upsert", type, data })),
    update: (type: string, id: string, data: Fields) =>
      change({ operation: "update", type, id, data }),
    delete: (type: string, id: string) => change({ operation: "delete", type, id }),
    batch: (changes: readonly Parameters<typeof toChange>[0][]) =>
      mutate({ kind: "batch", changes: changes.map(toChange) }),
    action: (name: string, input: Fields = {}) => mutate({ kind: "action", name, input }),
    conflicts,
    status: status as Store<SyncStatus>,
    events: () => events.listen(),
    synced: () =>
      until(
        ({ connection, pendingCount, cursor, head }) =>
          connection === "live" &&
          pendingCount === 0 &&
          cursor >= head &&
          cache.stats().pending === 0,
      ),
    waitFor: (sequence: number) => until(({ cursor }) => cursor >= sequence),
    setOffline: (isOffline: boolean) => {
      session.setPaused(isOffline);
      refresh();
    },
    setToken: (token: TokenSource) => session.setToken(token),
    stats: () => cache.stats(),
    close: () => stop(),
    signOut: () => {
      session.post({ kind: "signedOut" });
      return stop(() => persistence.destroy());
    },
  };
  // The registry gives the names their types; what runs is the same for all.
  return client as unknown as Client<Source>;
}
