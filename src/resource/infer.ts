/**
 * What a registry's type says about its clients: names, records, inputs and outputs, all inferred.
 * A registry whose type is not known (`AnyRegistry`) gives loose types, not errors.
 *
 * @module
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { AnyAction, AnyQuery, AnyResource, Plugin, ResourceDefinition } from "./define.ts";
import type { ActionRule, QueryRule } from "./rules.ts";

/** The part of a registry that its types need. */
export interface AnyRegistry {
  readonly plugins: readonly Plugin[];
}

type PluginOf<Source extends AnyRegistry> = Source["plugins"][number];
type ResourceOf<Source extends AnyRegistry> = PluginOf<Source>["resources"][number];

type Named<Source extends AnyRegistry, Type> = Extract<ResourceOf<Source>, { readonly type: Type }>;

/** The types that leave the node: all but those of domain `state`. */
export type TypeName<Source extends AnyRegistry> =
  ResourceOf<Source> extends infer Resource
    ? Resource extends AnyResource
      ? Resource["sync"]["domain"] extends "state"
        ? never
        : Resource["type"]
      : never
    : never;

export interface LooseRecord {
  readonly id: string;
  readonly version: number;
  readonly [field: string]: unknown;
}

type Flat<Value> = { readonly [Key in keyof Value]: Value[Key] };

/** A record as clients hold it: its synced fields in camelCase, or what `toResource` or `build` answer. */
export type RecordOf<Source extends AnyRegistry, Type extends string> = string extends Type
  ? LooseRecord
  : Named<Source, Type> extends ResourceDefinition<
        string,
        // oxlint-disable-next-line typescript/no-explicit-any -- Rows are contravariant.
        any,
        StandardSchemaV1,
        // oxlint-disable-next-line typescript/no-explicit-any
        any,
        infer View
      >
    ? Flat<{ readonly id: string; readonly version: number } & View>
    : LooseRecord;

/** The fields of an insert; the client mints the id when it is left out. */
export type InsertInput<Source extends AnyRegistry, Type extends string> = string extends Type
  ? Readonly<Record<string, unknown>>
  : StandardSchemaV1.InferInput<Named<Source, Type>["input"]> & { readonly id?: string };

// oxlint-disable typescript/no-generated-empty-object-type -- The linter resolves the unknown registry.
/** The fields of an update: those that change. */
export type UpdateInput<Source extends AnyRegistry, Type extends string> = string extends Type
  ? Readonly<Record<string, unknown>>
  : Optional<StandardSchemaV1.InferInput<Named<Source, Type>["input"]>>;

// oxlint-enable typescript/no-generated-empty-object-type
type Optional<Value> = { readonly [Key in keyof Value]?: Value[Key] | undefined };

type NamesIn<Source extends AnyRegistry, Kind extends "queries" | "actions"> =
  PluginOf<Source> extends infer One
    ? One extends { readonly name: infer Name extends string } & {
        readonly [Key in Kind]: infer Parts;
      }
      ? `${Name}.${Extract<keyof Parts, string>}`
      : never
    : never;

type PartNamed<
  Source extends AnyRegistry,
  Kind extends "queries" | "actions",
  Name extends string,
> = Name extends `${infer PluginName}.${infer Part}`
  ? Extract<PluginOf<Source>, { readonly name: PluginName }> extends {
      readonly [Key in Kind]: infer Parts;
    }
    ? Part extends keyof Parts
      ? Parts[Part]
      : never
    : never
  : never;

/** Without a name the registry's type is not known, and any name will do. */
type OrString<Name> = [Name] extends [never] ? string : Name;

/** The full names of queries: "album.list". */
export type QueryName<Source extends AnyRegistry> = OrString<NamesIn<Source, "queries">>;
/** The full names of actions: "file.rename". */
export type ActionName<Source extends AnyRegistry> = OrString<NamesIn<Source, "actions">>;

type InputOfPart<Part> = [Part] extends [never]
  ? Readonly<Record<string, unknown>>
  : Part extends { readonly input: infer Input extends StandardSchemaV1 }
    ? StandardSchemaV1.InferInput<Input>
    : never;

/** What a query takes. */
export type QueryInput<Source extends AnyRegistry, Name extends string> = InputOfPart<
  PartNamed<Source, "queries", Name>
>;

/** What a query answers, one item: a record, or a value when it returns none. */
export type QueryItem<Source extends AnyRegistry, Name extends string> = [
  PartNamed<Source, "queries", Name>,
] extends [never]
  ? LooseRecord
  : PartNamed<Source, "queries", Name> extends infer Query extends AnyQuery
    ? Query["returns"] extends string
      ? RecordOf<Source, Query["returns"]>
      : Awaited<ReturnType<Query["resolve"]>>[number]
    : never;

/** What a query answers: its items in order. */
export type QueryResult<Source extends AnyRegistry, Name extends string> = readonly QueryItem<
  Source,
  Name
>[];

/** What an action takes. */
export type ActionInput<Source extends AnyRegistry, Name extends string> = InputOfPart<
  PartNamed<Source, "actions", Name>
>;

/** What an action answers beside its records. */
export type ActionOutput<Source extends AnyRegistry, Name extends string> = [
  PartNamed<Source, "actions", Name>,
] extends [never]
  ? unknown
  : PartNamed<Source, "actions", Name> extends infer Action extends AnyAction
    ? Awaited<ReturnType<Action["run"]>>
    : never;

/**
 * The rules that fit a registry: each reads only what its records have, and takes inputs as clients
 * give them, before the service fills in defaults.
 */
export interface RulesOf<Source extends AnyRegistry> {
  readonly queries: {
    readonly [Name in QueryName<Source>]?: QueryRule<
      QueryItem<Source, Name>,
      QueryInput<Source, Name>
    >;
  };
  readonly actions: {
    readonly [Name in ActionName<Source>]?: ActionRule<ActionInput<Source, Name>>;
  };
}
