import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { AnySQLiteTable } from "drizzle-orm/sqlite-core";
import type { SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";
import type { WireResource } from "../protocol/errors.ts";
import type { ActionRule, FieldsOf, QueryRule } from "./rules.ts";

/** How a resource travels: see DESIGN section 9. `state` never leaves its node. */
export type Domain = "index" | "metadata" | "content" | "state";

/** How a field of a `merge` resource joins two concurrent values. */
export type FieldMerge = "last-write-wins" | "set" | "counter";

/**
 * Joins a late change into the record as it is now (CONF-15): `base` is the record as the author saw
 * it, `late` as the author left it, each whole and valid, with the fields that travel. Pure, and the
 * same when it is done twice. The fields that it does not answer follow the rule "merge".
 */
export interface RecordMerge<Whole extends object> {
  readonly merge: (base: Whole, current: Whole, late: Whole) => Partial<Whole>;
}

/** What decides when `expected_version` is older than the current version. */
// oxlint-disable-next-line typescript/no-explicit-any -- Records are contravariant in `merge`.
export type ConflictRule<Whole extends object = any> =
  | "reject"
  | "last-write-wins"
  | "manual"
  | "merge"
  | { readonly merge: { readonly [Field in keyof Whole & string]?: FieldMerge } }
  | RecordMerge<Whole>;

export type RowOf<Table extends AnySQLiteTable> = Table["$inferSelect"];
export type InputOf<Resource extends AnyResource> = StandardSchemaV1.InferOutput<Resource["input"]>;

/** A read-only view of one library, for queries and for building joined resources. */
export interface Reader {
  /** Drizzle over a connection that cannot write. */
  readonly db: SqliteRemoteDatabase;
  readonly libraryId: string;
}

/** What a bulk was for: these are known, and a caller may name another in its hints (BULK-04). */
export type BulkPurpose =
  | "InitialIndex"
  | "ReIndex"
  | "Import"
  | "Maintenance"
  | "WatcherBatch"
  // oxlint-disable-next-line typescript/no-empty-object-type -- Keeps the known ones in suggestions.
  | (string & {});

/** What a follower is told of a bulk operation it did not see record by record. */
export interface BulkNotice {
  readonly token: string;
  readonly mode: "insert" | "upsert" | "delete";
  readonly operation: BulkPurpose;
  readonly affectedCount: number;
  readonly hints: Readonly<Record<string, unknown>>;
}

/** What a follower's `onBulk` works with. */
export interface BulkContext extends Reader {
  /** Makes the type's records here equal to the leader's. Done before the call for domain `metadata`. */
  readonly fetch: () => Promise<void>;
}

/** How one resource travels and how its conflicts end. */
// oxlint-disable-next-line typescript/no-explicit-any -- As for `ConflictRule`.
export interface SyncRules<Field extends string = string, Whole extends object = any> {
  readonly domain: Domain;
  /** Types that must be applied before this one. */
  readonly after?: readonly string[];
  /** Only these fields travel; all by default. */
  readonly include?: readonly Field[];
  /** These fields never leave the node (I8). */
  readonly exclude?: readonly Field[];
  /** `last-write-wins` by default. */
  readonly conflict?: ConflictRule<Whole>;
  /** A nullable reference that may be filled in second, so that a cycle of `after` can be applied. */
  readonly breakCycle?: Field;
}

/** The fields of a table that travel, by the rules of `sync`, as clients hold them. */
export type SyncedFields<Table extends AnySQLiteTable, Sync> = Readonly<
  Pick<
    RowOf<Table>,
    Exclude<
      Sync extends { readonly include: readonly (infer Field)[] }
        ? Extract<Field, keyof RowOf<Table>>
        : keyof RowOf<Table>,
      | "id"
      | "version"
      | "createdAt"
      | "updatedAt"
      | "originDeviceId"
      | (Sync extends { readonly exclude: readonly (infer Field)[] } ? Field : never)
    >
  >
>;

type RulesFor<Table extends AnySQLiteTable> = SyncRules<
  Extract<keyof RowOf<Table>, string>,
  SyncedFields<Table, object>
>;

export interface ResourceDefinition<
  Type extends string,
  Table extends AnySQLiteTable,
  Input extends StandardSchemaV1,
  Sync extends SyncRules = RulesFor<Table>,
  View extends object = SyncedFields<Table, Sync>,
> {
  /** The wire name, singular snake_case: "album_item". */
  readonly type: Type;
  readonly table: Table;
  /** Validates a full record; must answer synchronously and accept its own output. */
  readonly input: Input;
  readonly sync: Sync;
  /** The fields clients see, when they are not simply the synced columns. */
  readonly toResource?: (row: RowOf<Table>) => View;
  /** Builds joined resources after the commit: one query for all `rows`, in their order. */
  readonly build?: (rows: readonly RowOf<Table>[], reader: Reader) => Promise<readonly View[]>;
  /** What `toResource` or `build` answer, for code generation: a function's fields are not in a value. */
  readonly view?: StandardSchemaV1;
  /** What a follower does on a bulk notice; may be called again after a crash. */
  readonly onBulk?: (notice: BulkNotice, context: BulkContext) => Promise<void>;
}

/** Any resource, for places that handle all of them. Rows are contravariant, hence the `any`. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyResource = ResourceDefinition<string, any, StandardSchemaV1, SyncRules, any>;

/** A value whose arrays and objects may be frozen: schemas make mutable ones, functions often do not. */
type Frozen<Value> = unknown extends Value
  ? Value
  : { readonly [Key in keyof Value]: Frozen<Value[Key]> };

/** What a function must make at least, where a schema promises it. */
type Made<Promised extends StandardSchemaV1> = Frozen<StandardSchemaV1.InferOutput<Promised>>;

/** What a column holds, or nothing; a field without a column is never given. */
type Stored<Row, Key> = (Key extends keyof Row ? Frozen<Row[Key]> | null : never) | undefined;

/** The fields of an input that its table cannot store: what is written there would be lost, or another. */
type Misfit<Row, Fields> = keyof {
  [
    Key in keyof Fields as string extends Key
      ? never
      : number extends Key
        ? never
        : Fields[Key] extends Stored<Row, Key>
          ? never
          : Key
  ]: true;
};

type Fits<Row, Fields> = [Misfit<Row, Fields>] extends [never]
  ? unknown
  : { readonly "has a field that the table cannot store": Misfit<Row, Fields> };

/** Declares a resource: identity with types, no side effect. */
export function defineResource<
  const Type extends string,
  Table extends AnySQLiteTable,
  Input extends StandardSchemaV1,
  const Sync extends RulesFor<Table>,
  Promised extends StandardSchemaV1 = StandardSchemaV1,
  View extends Made<Promised> & object = Made<Promised> & SyncedFields<Table, Sync>,
>(
  definition: ResourceDefinition<Type, Table, Input, Sync, View> & {
    readonly input: Fits<RowOf<Table>, StandardSchemaV1.InferOutput<Input>>;
    readonly view?: Promised;
  },
): ResourceDefinition<Type, Table, Input, Sync, View> {
  return definition;
}

/**
 * A query. `matches`, `compare`, `limit` and `dependsOn` are pure and see records as clients hold
 * them; a client that shares them keeps its list fresh without asking again.
 */
export interface QueryDefinition<
  Input extends StandardSchemaV1,
  Returns extends string | null,
  Value extends (Returns extends null ? unknown : string) = Returns extends null ? unknown : string,
> extends Omit<QueryRule<FieldsOf, StandardSchemaV1.InferOutput<Input>>, "returns"> {
  readonly input: Input;
  /** The type whose ids `resolve` answers; `null` when it answers plain values. */
  readonly returns: Returns;
  /** Ids in order (or values, when `returns` is null). Reads only. */
  readonly resolve: (
    reader: Reader,
    input: StandardSchemaV1.InferOutput<Input>,
  ) => Promise<readonly Value[]>;
  /** Seconds a client may use the answer without asking again; 300 by default. */
  readonly ttl?: number;
  /** What the answer depends on beside its records, such as a location's id. */
  readonly scopes?: (input: StandardSchemaV1.InferOutput<Input>) => readonly string[];
  /** Records that travel along: the type, and the id that a returned record has for it. */
  readonly related?: Readonly<Record<string, (record: FieldsOf) => unknown>>;
}

// Inputs are contravariant in `resolve`, hence `any`.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyQuery = QueryDefinition<any, any, any>;

/** Declares a query: identity with types. */
export function defineQuery<
  Input extends StandardSchemaV1,
  const Returns extends string | null,
  Value extends (Returns extends null ? unknown : string),
>(definition: QueryDefinition<Input, Returns, Value>): QueryDefinition<Input, Returns, Value> {
  return definition;
}

/** A server-side transaction: reads see its own changes, and all of them commit together. */
export interface ActionTx {
  readonly reader: Reader;
  /** The record as this transaction sees it, or null. */
  get(type: string, id: string): Promise<WireResource | null>;
  /** Those of the records that are there: one read for many. */
  getMany(type: string, ids: readonly string[]): Promise<WireResource[]>;
  insert(type: string, record: { id: string } & Readonly<Record<string, unknown>>): Promise<void>;
  update(type: string, id: string, fields: Readonly<Record<string, unknown>>): Promise<void>;
  upsert(type: string, record: { id: string } & Readonly<Record<string, unknown>>): Promise<void>;
  delete(type: string, id: string): Promise<void>;
}

/** An action; its optimistic twin is what a client shows until the answer is there. */
export interface ActionDefinition<Input extends StandardSchemaV1, Output> extends ActionRule<
  StandardSchemaV1.InferOutput<Input>
> {
  readonly input: Input;
  /** What `run` answers, for code generation. */
  readonly output?: StandardSchemaV1;
  readonly run: (tx: ActionTx, input: StandardSchemaV1.InferOutput<Input>) => Promise<Output>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- Inputs are contravariant in `run`.
export type AnyAction = ActionDefinition<any, unknown>;

/** Declares an action: identity with types. Field names inside are the wire's. */
export function defineAction<
  Input extends StandardSchemaV1,
  Output extends Made<Promised>,
  Promised extends StandardSchemaV1 = StandardSchemaV1,
>(
  definition: ActionDefinition<Input, Output> & { readonly output?: Promised },
): ActionDefinition<Input, Output> {
  return definition;
}

export interface Plugin {
  readonly name: string;
  readonly resources: readonly AnyResource[];
  readonly queries?: Readonly<Record<string, AnyQuery>>;
  readonly actions?: Readonly<Record<string, AnyAction>>;
  /** SQL by tag, for a plugin that brings its own tables; applied in the order of the tags. */
  readonly migrations?: Readonly<Record<string, string>>;
}

/** Declares a plugin: what it is called, what it stores, what may be asked and done. */
export function definePlugin<const Value extends Plugin>(plugin: Value): Value {
  return plugin;
}
