/**
 * A registry as code generators see it: names, fields and inputs, of no language. Read from the value,
 * never from source text.
 *
 * @module
 */
import { getTableColumns } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { toSnakeCase } from "../../base/case.ts";
import { inputSchema, toPluginSchema } from "../../http/openapi.ts";
import type { CompiledResource } from "../../resource/compile.ts";
import type { Registry } from "../../resource/registry.ts";

/** What a value is, in terms that every language has. */
export type Shape =
  | { readonly kind: "text" | "integer" | "real" | "boolean" | "json" }
  | { readonly kind: "choice"; readonly values: readonly string[] }
  | { readonly kind: "list"; readonly item: Shape }
  | { readonly kind: "record"; readonly fields: readonly Field[] };

export interface Field {
  /** On the wire. */
  readonly name: string;
  readonly shape: Shape;
  readonly isNullable: boolean;
  readonly isOptional: boolean;
}

export interface ModelResource {
  readonly type: string;
  /** The fields beside `id` and `version`; null when a function makes them and no `view` tells. */
  readonly fields: readonly Field[] | null;
}

export interface ModelQuery {
  /** "album.list" */
  readonly name: string;
  readonly input: readonly Field[];
  /** The type of what it answers; null for plain values. */
  readonly returns: string | null;
  /** The types of the records that travel along. */
  readonly related: readonly string[];
}

export interface ModelAction {
  /** "file.rename" */
  readonly name: string;
  readonly input: readonly Field[];
  /** What it answers beside its records; null when no `output` tells. */
  readonly output: Shape | null;
}

export interface Model {
  readonly registryHash: string;
  readonly resources: readonly ModelResource[];
  readonly queries: readonly ModelQuery[];
  readonly actions: readonly ModelAction[];
}

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
}

const kinds: Readonly<Record<string, "text" | "integer" | "real" | "boolean">> = {
  string: "text",
  integer: "integer",
  number: "real",
  boolean: "boolean",
};

/** What a value may be, one by one: schema libraries write a choice of types in two ways. */
function alternativesOf(schema: JsonSchema): readonly JsonSchema[] {
  const { type, anyOf } = schema;
  if (typeof type === "object") return type.map((one) => ({ ...schema, type: one }));
  return anyOf ?? [schema];
}

function toShape(schema: JsonSchema): Shape {
  const values = schema.const === undefined ? schema.enum : [schema.const];
  if (values?.every((value) => typeof value === "string") === true) {
    return { kind: "choice", values };
  }
  if (schema.type === "array") {
    const { shape, isNullable } = toValue(schema.items ?? {});
    return { kind: "list", item: isNullable ? { kind: "json" } : shape };
  }
  if (schema.properties !== undefined) return { kind: "record", fields: readFields(schema) };
  return { kind: kinds[String(schema.type)] ?? "json" };
}

function toValue(schema: JsonSchema): Pick<Field, "shape" | "isNullable"> {
  const options = alternativesOf(schema);
  const [first = {}, ...others] = options.filter((option) => option.type !== "null");
  return {
    shape: others.length > 0 ? { kind: "json" } : toShape(first),
    isNullable: options.some((option) => option.type === "null"),
  };
}

function readFields({ properties = {}, required = [] }: JsonSchema): Field[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    ...toValue(schema),
    isOptional: !required.includes(name),
  }));
}

const toInput = (call: { readonly input: StandardSchemaV1 }): Field[] =>
  readFields(inputSchema(call.input) as JsonSchema);

const toOutput = (schema: StandardSchemaV1): JsonSchema =>
  toPluginSchema(schema, "output") as JsonSchema;

function columnShape(column: SQLiteColumn): Shape {
  if (column.dataType === "json") return { kind: "json" };
  if (column.dataType === "boolean") return { kind: "boolean" };
  if (column.dataType === "string") return { kind: "text" };
  return { kind: column.getSQLType() === "real" ? "real" : "integer" };
}

function toFields({ definition, synced, isPlain }: CompiledResource): Field[] | null {
  if (!isPlain) {
    const { view } = definition;
    // Only the names of the record itself are the wire's; what lies deeper is the plugin's own.
    return view === undefined
      ? null
      : readFields(toOutput(view)).map((field) => ({ ...field, name: toSnakeCase(field.name) }));
  }
  const columns = getTableColumns(definition.table) as Record<string, SQLiteColumn>;
  return synced.flatMap(({ key, name, notNull }) => {
    const column = columns[key];
    if (column === undefined) return [];
    return { name, shape: columnShape(column), isNullable: !notNull, isOptional: false };
  });
}

const byName = (left: { readonly name: string }, right: { readonly name: string }) =>
  left.name < right.name ? -1 : 1;

/** Describes what clients can see: resources of domain `state` are left out (I8). */
export function describeRegistry(registry: Registry): Model {
  return {
    registryHash: registry.hash,
    resources: registry.resources
      .filter((resource) => resource.domain !== "state")
      .map((resource) => ({ type: resource.type, fields: toFields(resource) }))
      .toSorted((left, right) => (left.type < right.type ? -1 : 1)),
    queries: [...registry.queries]
      .map(([name, query]) => ({
        name,
        input: toInput(query),
        returns: (query.returns as string | null) ?? null,
        related: Object.keys(query.related ?? {}),
      }))
      .toSorted(byName),
    actions: [...registry.actions]
      .map(([name, action]) => ({
        name,
        input: toInput(action),
        output: action.output === undefined ? null : toShape(toOutput(action.output)),
      }))
      .toSorted(byName),
  };
}

/** `album_item` or `album.by-name` → `AlbumItem`, `AlbumByName`. */
export function toPascalCase(name: string): string {
  return name.replace(/(?:^|[^a-zA-Z0-9]+)([a-zA-Z0-9])/g, (_, letter: string) =>
    letter.toUpperCase(),
  );
}

/** The same, and another name where the language or the generated file has that one: `AnswerRecord`. */
export function toTypeName(name: string, taken: ReadonlySet<string>): string {
  const title = toPascalCase(name);
  return taken.has(title) ? `${title}Record` : title;
}

export const toWords = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));
