/**
 * Hooks over a client. `createHooks<typeof registry>()` types them all; nothing else needs a type.
 *
 * @module
 */
import {
  createContext,
  createElement,
  useContext,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import type { FunctionComponent, ReactNode } from "react";
import type {
  ActionInput,
  ActionName,
  ActionOutput,
  AnyRegistry,
  InsertInput,
  QueryInput,
  QueryItem,
  QueryName,
  RecordOf,
  TypeName,
  UpdateInput,
} from "../resource/infer.ts";
import type {
  MutationHandle,
  MutationSnapshot,
  QueryHandle,
  Store,
  SyncStatus,
  TypedClient,
  TypedQuerySnapshot,
  TypedRecordSnapshot,
} from "./api.ts";
import type { Client } from "./client.ts";
import { toQueryKey } from "./query-key.ts";
import type { ClientRecord } from "./record.ts";
import type { QueryPolicy } from "./snapshot.ts";
import type { ClientProblem } from "./transport.ts";

// What the hooks are made of, so that a declaration file can name it.
export type { StandardSchemaV1 } from "@standard-schema/spec";
export type { Client, MutationHandle };

type Fields = Readonly<Record<string, unknown>>;

export interface QueryState<Item> {
  /** The records in order; null until the first answer. Old ones stay while new ones are fetched. */
  readonly data: readonly Item[] | null;
  readonly isLoading: boolean;
  readonly isFetching: boolean;
  readonly isStale: boolean;
  /** It has all that there is. False until then, and when more may come behind its `limit`. */
  readonly isComplete: boolean;
  readonly error: ClientProblem | null;
  readonly refetch: () => Promise<void>;
}

export interface RecordState<Record> {
  /** Null while it is unknown, and when there is none. */
  readonly data: Record | null;
  readonly isLoading: boolean;
  /** A change that the service has not confirmed has a say in `data`. */
  readonly isPending: boolean;
  readonly error: ClientProblem | null;
}

/** What became of the latest change that a hook made. */
export interface MutationState<Output> {
  readonly state: "idle" | MutationSnapshot["state"];
  readonly isPending: boolean;
  readonly error: ClientProblem | null;
  readonly output: Output | undefined;
}

export interface QueryOptions {
  /** False asks for nothing and listens to nothing. */
  readonly enabled?: boolean;
  readonly policy?: QueryPolicy;
}

export interface Hooks<Source extends AnyRegistry> {
  readonly SynclineProvider: FunctionComponent<{ client: Client<Source>; children?: ReactNode }>;
  readonly useClient: () => Client<Source>;
  readonly useQuery: <Name extends QueryName<Source>>(
    name: Name,
    input: QueryInput<Source, Name>,
    options?: QueryOptions,
  ) => QueryState<QueryItem<Source, Name>>;
  /** Suspends until the first answer, and throws a problem to the error boundary. */
  readonly useSuspenseQuery: <Name extends QueryName<Source>>(
    name: Name,
    input: QueryInput<Source, Name>,
  ) => readonly QueryItem<Source, Name>[];
  /** Without an id it asks for nothing. */
  readonly useRecord: <Type extends TypeName<Source>>(
    type: Type,
    id: string | null | undefined,
  ) => RecordState<RecordOf<Source, Type>>;
  readonly useMutation: <Type extends TypeName<Source>>(
    type: Type,
  ) => MutationState<unknown> & {
    readonly insert: (input: InsertInput<Source, Type>) => MutationHandle;
    readonly upsert: (input: InsertInput<Source, Type>) => MutationHandle;
    readonly update: (id: string, fields: UpdateInput<Source, Type>) => MutationHandle;
    readonly delete: (id: string) => MutationHandle;
  };
  readonly useAction: <Name extends ActionName<Source>>(
    name: Name,
  ) => MutationState<ActionOutput<Source, Name>> & {
    readonly run: (input: ActionInput<Source, Name>) => MutationHandle<ActionOutput<Source, Name>>;
  };
  readonly useSyncStatus: () => SyncStatus;
}

const Context = createContext<TypedClient | null>(null);

const loading: TypedQuerySnapshot<unknown> = {
  data: [],
  status: "loading",
  isStale: false,
  isFetching: true,
  isComplete: false,
  problem: null,
  sequence: 0,
};
const disabled: TypedQuerySnapshot<unknown> = { ...loading, isFetching: false };
const unknown: TypedRecordSnapshot<ClientRecord> = {
  data: null,
  isPending: false,
  isKnown: false,
  problem: null,
};
const offline: SyncStatus = {
  connection: "connecting",
  isPaused: false,
  cursor: -1,
  head: -1,
  pendingCount: 0,
  rejected: [],
  problem: null,
};
const noChange: Partial<MutationSnapshot> = {};
const never = () => () => {};

function useClient(): TypedClient {
  const client = useContext(Context);
  if (client === null) throw new Error("There is no SynclineProvider around this.");
  return client;
}

/** The snapshot of a store, or `empty` without one. A server shows `empty` too, and so does hydration. */
function useStore<Snapshot>(store: Store<Snapshot> | null, empty: Snapshot): Snapshot {
  const nothing = () => empty;
  return useSyncExternalStore<Snapshot>(
    store?.subscribe ?? never,
    store?.getSnapshot ?? nothing,
    nothing,
  );
}

/** The handle of a query: another one only when its name, the meaning of its input or the client changes. */
function useHandle(name: string, input: Fields, policy?: QueryPolicy): QueryHandle {
  const client = useClient();
  const { text } = toQueryKey(name, input);
  return useMemo(() => client.query(name, input, policy), [client, text, policy]);
}

function useQuery(name: string, input: Fields, options?: QueryOptions): QueryState<unknown> {
  const isEnabled = options?.enabled ?? true;
  const handle = useHandle(name, input, options?.policy);
  const snapshot = useStore<TypedQuerySnapshot<unknown>>(
    isEnabled ? handle : null,
    isEnabled ? loading : disabled,
  );
  return useMemo(() => {
    const { data, status, isFetching, isStale, isComplete, problem } = snapshot;
    return {
      data: status === "ready" || data.length > 0 ? data : null,
      isLoading: status === "loading" && isEnabled,
      isFetching,
      isStale,
      isComplete,
      error: problem,
      refetch: handle.refetch,
    };
  }, [handle, snapshot, isEnabled]);
}

/** The first answers that suspended components of a client wait for, so that asking twice waits once. */
interface Waiting {
  readonly answers: Map<string, Promise<void>>;
  /** Subscriptions that keep what came until its components appear. */
  readonly held: Set<() => void>;
  timer?: ReturnType<typeof setTimeout>;
}
const waiting = new WeakMap<TypedClient, Waiting>();

function firstAnswer(client: TypedClient, handle: QueryHandle): Promise<void> {
  const known: Waiting = waiting.get(client) ?? { answers: new Map(), held: new Set() };
  waiting.set(client, known);
  const { answers, held } = known;
  const { text } = handle.key;
  const answer =
    answers.get(text) ??
    new Promise<void>((resolve) => {
      const end = handle.subscribe(() => {
        if (handle.getSnapshot().status === "loading" || held.has(end)) return;
        answers.delete(text);
        resolve();
        held.add(end);
        // They appear together, some time after the last of them can.
        clearTimeout(known.timer);
        known.timer = setTimeout(() => {
          if (answers.size > 0) return;
          for (const one of held) one();
          held.clear();
        }, 1_000);
      });
    });
  answers.set(text, answer);
  return answer;
}

function useSuspenseQuery(name: string, input: Fields): readonly unknown[] {
  const client = useClient();
  const handle = useHandle(name, input);
  const { data, status, problem } = useSyncExternalStore(
    handle.subscribe,
    handle.getSnapshot,
    handle.getSnapshot,
  );
  // oxlint-disable-next-line typescript/only-throw-error -- So a component suspends.
  if (status === "loading") throw firstAnswer(client, handle);
  // oxlint-disable-next-line typescript/only-throw-error -- The problem goes to the error boundary.
  if (status === "error" && data.length === 0) throw problem;
  return data;
}

function useRecord(type: string, id: string | null | undefined): RecordState<ClientRecord> {
  const client = useClient();
  const handle = useMemo(() => (id == null ? null : client.record(type, id)), [client, type, id]);
  const snapshot = useStore<TypedRecordSnapshot<ClientRecord>>(handle, unknown);
  return useMemo(() => {
    const { data, isKnown, isPending, problem } = snapshot;
    const isLoading = handle !== null && !isKnown && problem === null;
    return { data, isLoading, isPending, error: problem };
  }, [handle, snapshot]);
}

/** Follows the latest of the changes that a component makes with this client. */
function useLatest(client: TypedClient) {
  const [made, setMade] = useState<readonly [TypedClient, MutationHandle] | null>(null);
  const handle = made?.[0] === client ? made[1] : null;
  const snapshot = useStore<Partial<MutationSnapshot>>(handle, noChange);
  const follow = useMemo(
    () => (change: MutationHandle) => {
      // A failure shows in `error`; whoever awaits `done` hears of it there.
      change.done.catch(() => {});
      setMade([client, change]);
      return change;
    },
    [client],
  );
  const { state = "idle", problem = null, output } = snapshot;
  const latest = { state, isPending: /saving|queued|sent/.test(state), error: problem, output };
  return { follow, latest };
}

function useMutation(type: string) {
  const client = useClient();
  const { follow, latest } = useLatest(client);
  const verbs = useMemo(
    () => ({
      insert: (input: Fields) => follow(client.insert(type, input)),
      upsert: (input: Fields) => follow(client.upsert(type, input)),
      update: (id: string, fields: Fields) => follow(client.update(type, id, fields)),
      delete: (id: string) => follow(client.delete(type, id)),
    }),
    [client, type],
  );
  return { ...latest, ...verbs };
}

function useAction(name: string) {
  const client = useClient();
  const { follow, latest } = useLatest(client);
  const run = useMemo(() => (input: Fields) => follow(client.action(name, input)), [client, name]);
  return { ...latest, run };
}

const hooks = {
  SynclineProvider: ({ client, children }: { client: TypedClient; children?: ReactNode }) =>
    createElement(Context.Provider, { value: client }, children),
  useClient,
  useQuery,
  useSuspenseQuery,
  useRecord,
  useMutation,
  useAction,
  useSyncStatus: () => useStore(useClient().status, offline),
};

/** The hooks, typed by a registry. They are the same functions for all. */
export function createHooks<Source extends AnyRegistry>(): Hooks<Source> {
  return hooks as unknown as Hooks<Source>;
}
