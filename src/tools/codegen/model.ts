/**
 * A registry as code generators see it: names, fields and inputs, of no language. Read from the value,
 * never from source text.
 *
 * @module
 */
import { getTableColumns } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { inputSchema } from "../../http/openapi.ts";
import type { CompiledResource } from "../../resource/compile.ts";
import type { Registry } from "../../resource/registry.ts";

/** What a value is, in terms that every language has. */
export type Shape =
  | { readonly kind: "text" | "integer" | "real" | "boolean" | "json" }
  | { readonly kind: "choice"; readonly values: readonly string[] }
  | { readonly kind: "list"; readonly item: Shape };

export interface Field {
  /** On the wire. */
  readonly name: string;
  readonly shape: Shape;
  readonly isNullable: boolean;
  readonly isOptional: boolean;
}

export interface ModelResource {
  readonly type: string;
  /** The fields beside `id` and `version`; null when a function makes them, so that no value tells. */
  readonly fields: readonly Field[] | null;
}

export interface ModelCall {
  /** "album.list" */
  readonly name: string;
  readonly input: readonly Field[];
  /** The type of what it answers; null for plain values and for actions. */
  readonly returns: string | null;
}

export interface Model {
  readonly registryHash: string;
  readonly resources: readonly ModelResource[];
  readonly queries: readonly ModelCall[];
  readonly actions: readonly ModelCall[];
}

interface JsonSchema {
  readonly type?: string;
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

function toShape(schema: JsonSchema): Shape {
  if (schema.enum?.every((value) => typeof value === "string") === true) {
    return { kind: "choice", values: schema.enum };
  }
  if (schema.type === "array") return { kind: "list", item: toShape(schema.items ?? {}) };
  return { kind: kinds[schema.type ?? ""] ?? "json" };
}

function toField(name: string, schema: JsonSchema, isOptional: boolean): Field {
  const options = schema.anyOf ?? [schema];
  const [first = {}, ...others] = options.filter((option) => option.type !== "null");
  const isNullable = options.some((option) => option.type === "null");
  return {
    name,
    shape: others.length > 0 ? { kind: "json" } : toShape(first),
    isNullable,
    isOptional,
  };
}

function toInput(call: { readonly input: Parameters<typeof inputSchema>[0] }): Field[] {
  const { properties = {}, required = [] } = inputSchema(call.input) as JsonSchema;
  return Object.entries(properties).map(([name, schema]) =>
    toField(name, schema, !required.includes(name)),
  );
}

function columnShape(column: SQLiteColumn): Shape {
  if (column.dataType === "json") return { kind: "json" };
  if (column.dataType === "boolean") return { kind: "boolean" };
  if (column.dataType === "string") return { kind: "text" };
  return { kind: column.getSQLType() === "real" ? "real" : "integer" };
}

function toFields({ definition, synced, isPlain }: CompiledResource): Field[] | null {
  if (!isPlain) return null;
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
      }))
      .toSorted(byName),
    actions: [...registry.actions]
      .map(([name, action]) => ({ name, input: toInput(action), returns: null }))
      .toSorted(byName),
  };
}

/** `album_item` or `album.list` → `AlbumItem`, `AlbumList`. */
export function toPascalCase(name: string): string {
  return name.replace(/(?:^|[._])([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
