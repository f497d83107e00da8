/**
 * What a client offers, typed by a registry: `Client<typeof registry>`. Types only.
 *
 * @module
 */
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
import type { MutationRequest } from "./mutation.ts";
import type { QueryKey } from "./query-key.ts";
import type { ClientRecord } from "./record.ts";
import type { QueryPolicy, QuerySnapshot, RecordSnapshot } from "./snapshot.ts";
import type { ClientProblem } from "./transport.ts";

/** Something to read now, and to be told of changes of. An unchanged snapshot keeps its identity. */
export interface Store<Snapshot> {
  readonly getSnapshot: () => Snapshot;
  /** Answers what ends the subscription. */
  readonly subscribe: (listener: () => void) => () => void;
}

export interface TypedQuerySnapshot<Item> extends QuerySnapshot {
  readonly data: readonly Item[];
  readonly problem: ClientProblem | null;
}

export interface QueryHandle<Item = unknown> extends Store<TypedQuerySnapshot<Item>> {
  readonly key: QueryKey;
  /** Asks again, whatever the cache holds. Never fails: what went wrong stands in the snapshot. */
  readonly refetch: () => Promise<void>;
}

export interface TypedRecordSnapshot<Value> extends RecordSnapshot {
  readonly data: (Value & ClientRecord) | null;
  readonly problem: ClientProblem | null;
}

export interface RecordHandle<Value = ClientRecord> extends Store<TypedRecordSnapshot<Value>> {}

export interface MutationSnapshot<Output = unknown> {
  /** "saving": not yet on disk; "queued": it survives a crash of everything here. */
  readonly state: "saving" | "queued" | "sent" | "committed" | "rejected";
  /** Null when it changed nothing. */
  readonly sequence?: number | null;
  readonly problem?: ClientProblem;
  readonly output?: Output;
}

export interface MutationReceipt<Output = unknown> {
  /** Null when it changed nothing. */
  readonly sequence: number | null;
  readonly resources: readonly ClientRecord[];
  readonly output: Output;
}

export interface MutationHandle<Output = unknown> extends Store<MutationSnapshot<Output>> {
  readonly id: string;
  /** Of the one record it is about. */
  readonly recordId?: string;
  /** Fails with the problem when it is rejected. */
  readonly done: Promise<MutationReceipt<Output>>;
}

export interface RejectedMutation {
  readonly mutationId: string;
  /** What was asked for, so that a person may see it, and ask for something else. */
  readonly request: MutationRequest;
  readonly problem: ClientProblem;
  /** Sends it again: after a refusal as a new mutation, because the refusal is the answer of its id. */
  retry(): void;
  discard(): void;
}

export interface SyncStatus {
  readonly connection: "connecting" | "live" | "catching-up" | "offline" | "needs-auth" | "closed";
  /** Cut off by `setOffline`, in this tab or another. */
  readonly isPaused: boolean;
  readonly cursor: number;
  readonly head: number;
  readonly pendingCount: number;
  readonly rejected: readonly RejectedMutation[];
  readonly problem: ClientProblem | null;
}

/** One change of a batch. */
export type BatchChange<Source extends AnyRegistry> = {
  [Type in TypeName<Source>]:
    | {
        readonly operation: "insert" | "upsert";
        readonly type: Type;
        readonly data: InsertInput<Source, Type>;
      }
    | {
        readonly operation: "update";
        readonly type: Type;
        readonly id: string;
        readonly data: UpdateInput<Source, Type>;
      }
    | { readonly operation: "delete"; readonly type: Type; readonly id: string };
}[TypeName<Source>];

/** Reads and writes of one library. */
export interface TypedClient<Source extends AnyRegistry = AnyRegistry> {
  query<Name extends QueryName<Source>>(
    name: Name,
    input: QueryInput<Source, Name>,
    policy?: QueryPolicy,
  ): QueryHandle<QueryItem<Source, Name>>;
  record<Type extends TypeName<Source>>(
    type: Type,
    id: string,
  ): RecordHandle<RecordOf<Source, Type>>;
  insert<Type extends TypeName<Source>>(
    type: Type,
    input: InsertInput<Source, Type>,
  ): MutationHandle;
  upsert<Type extends TypeName<Source>>(
    type: Type,
    input: InsertInput<Source, Type>,
  ): MutationHandle;
  update<Type extends TypeName<Source>>(
    type: Type,
    id: string,
    fields: UpdateInput<Source, Type>,
  ): MutationHandle;
  delete(type: TypeName<Source>, id: string): MutationHandle;
  batch(changes: readonly BatchChange<Source>[]): MutationHandle;
  action<Name extends ActionName<Source>>(
    name: Name,
    input: ActionInput<Source, Name>,
  ): MutationHandle<ActionOutput<Source, Name>>;
  readonly status: Store<SyncStatus>;
}
