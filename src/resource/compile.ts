import { getTableColumns, getTableName } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { renameKeys, toSnakeCase } from "../base/case.ts";
import type { WireResource } from "../protocol/errors.ts";
import type { AnyResource, ConflictRule, Domain, FieldMerge, RecordMerge } from "./define.ts";
import { insertValues } from "./insert.ts";
import { localColumns } from "./table.ts";

type ColumnKind = "plain" | "boolean" | "json";

interface Column {
  /** The name in SQL and on the wire. */
  readonly name: string;
  /** The name in TypeScript. */
  readonly key: string;
  readonly kind: ColumnKind;
  readonly notNull: boolean;
  readonly initial: (() => unknown) | undefined;
}

/** A stored record by SQL column name, with booleans and JSON as JavaScript values. */
export type Row = Record<string, unknown>;

/** One write of many rows: `all` from a JSON array of arrays, `values` from one parameter a column. */
interface RowsSql {
  readonly all: string;
  readonly values: (count: number) => string;
}

/** A resource ready for work: names resolved, SQL written once, conversions by table. */
export interface CompiledResource {
  readonly type: string;
  readonly definition: AnyResource;
  readonly domain: Domain;
  readonly tableName: string;
  readonly columns: readonly Column[];
  /** The columns a client may write and that travel. */
  readonly synced: readonly Column[];
  readonly conflict: "reject" | "last-write-wins" | "manual" | "merge";
  readonly fieldMerges: Readonly<Record<string, FieldMerge>>;
  /** The resource's own rule for whole records, before the others. */
  readonly mergeRecords: RecordMerge<Row>["merge"] | null;
  /** True when clients see exactly the synced columns, so that the log holds all they need. */
  readonly isPlain: boolean;
  readonly sql: {
    /** Reads the row of one id; as `selectByIds`, which takes a JSON array of ids, one JSON array a row. */
    readonly selectById: string;
    readonly selectByIds: string;
    /** Writes rows, whether their ids are in use or not. */
    readonly upsert: RowsSql;
    /** Writes rows whose ids must not be in use. */
    readonly insert: RowsSql;
    readonly deleteByIds: string;
    readonly page: string;
  };
}

function compileColumn(type: string, key: string, column: SQLiteColumn): Column {
  const kinds: Record<string, ColumnKind> = {
    string: "plain",
    number: "plain",
    boolean: "boolean",
    json: "json",
  };
  const kind = kinds[column.dataType];
  if (kind === undefined) {
    throw new Error(
      `Resource "${type}": column "${column.name}" has type ${column.dataType}; use text, integer, ` +
        `real, boolean or JSON columns (times as RFC 3339 text or milliseconds).`,
    );
  }
  const { defaultFn, default: fixed } = column;
  if (typeof fixed === "object" && fixed !== null && "queryChunks" in fixed) {
    throw new Error(
      `Resource "${type}": column "${column.name}" has an SQL default; use $defaultFn, because ` +
        `records are completed before they reach SQL.`,
    );
  }
  const initial = defaultFn ?? (fixed === undefined ? undefined : () => fixed);
  return { name: column.name, key, kind, notNull: column.notNull, initial };
}

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

function writeSql(tableName: string, columns: readonly Column[]): CompiledResource["sql"] {
  const table = quote(tableName);
  const names = columns.map((column) => quote(column.name));
  const into = `INSERT INTO ${table} (${names.join(", ")})`;
  const fromJson = `SELECT ${names.map((_, index) => `value->>${index}`).join(", ")} FROM json_each(?) WHERE true`;
  const updates = names.filter((name) => name !== '"id"').map((name) => `${name}=excluded.${name}`);
  const row = `json_array(${names.map((name) => `record.${name}`).join(", ")})`;
  const rowsSql = (end: string): RowsSql => ({
    all: `${into} ${fromJson} ${end}`,
    values: insertValues({ into, row: `(${names.map(() => "?").join(", ")})`, end }),
  });
  return {
    upsert: rowsSql(`ON CONFLICT("id") DO UPDATE SET ${updates.join(", ")}`),
    insert: rowsSql(""),
    selectById: `SELECT ${row} FROM ${table} AS record WHERE "id" = ?`,
    // A join needs no table of the ids, as IN does; an id that is named twice is found twice.
    selectByIds: `SELECT ${row} FROM json_each(?) AS wanted CROSS JOIN ${table} AS record ON record."id" = wanted.value`,
    deleteByIds: `DELETE FROM ${table} WHERE "id" IN (SELECT value FROM json_each(?))`,
    page: `SELECT ${row} FROM ${table} AS record WHERE "id" > ? ORDER BY "id" LIMIT ?`,
  };
}

function resolveConflict(rule: ConflictRule | undefined) {
  const plain = { fieldMerges: {}, mergeRecords: null };
  if (typeof rule !== "object") return { ...plain, conflict: rule ?? "last-write-wins" } as const;
  const { merge } = rule;
  const own = typeof merge === "function" ? { mergeRecords: merge } : { fieldMerges: merge };
  return { ...plain, ...own, conflict: "merge" } as const;
}

/** Prepares a declaration for work. @throws Error for a column that cannot be stored or named */
export function compileResource(definition: AnyResource): CompiledResource {
  const { type, sync } = definition;
  const byKey = getTableColumns(definition.table) as Record<string, SQLiteColumn>;
  const columns = Object.entries(byKey).map(([key, column]) => compileColumn(type, key, column));
  for (const needed of ["id", "version", ...localColumns]) {
    if (!columns.some((column) => column.name === needed)) {
      throw new Error(
        `Resource "${type}": its table has no "${needed}"; make it with resourceTable.`,
      );
    }
  }
  const { toResource, build, view } = definition;
  const isPlain = toResource === undefined && build === undefined;
  if (isPlain && view !== undefined) {
    throw new Error(
      `Resource "${type}": view says what toResource or build make, and there is neither.`,
    );
  }
  const rule = resolveConflict(sync.conflict);
  const merged = Object.keys(rule.fieldMerges);
  for (const named of [...(sync.include ?? []), ...(sync.exclude ?? []), ...merged]) {
    if (byKey[named] === undefined) {
      throw new Error(`Resource "${type}": sync names the field "${named}", its table has none.`);
    }
  }
  const own = (column: Column) =>
    column.name !== "id" && column.name !== "version" && !localColumns.has(column.name);
  const synced = columns.filter(
    (column) =>
      own(column) &&
      (sync.include === undefined || sync.include.includes(column.key)) &&
      sync.exclude?.includes(column.key) !== true,
  );
  return {
    type,
    definition,
    domain: sync.domain,
    tableName: getTableName(definition.table),
    columns,
    synced,
    ...rule,
    isPlain,
    sql: writeSql(getTableName(definition.table), columns),
  };
}

/** The fields of a row that travel, in wire names: what the sync log keeps as `data`. */
export function toFields(resource: CompiledResource, row: Row): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const { name } of resource.synced) fields[name] = row[name] ?? null;
  return fields;
}

/** A row as clients see it when nothing has to be joined. */
export function toWireResource(resource: CompiledResource, row: Row): WireResource {
  const custom = resource.definition.toResource;
  const fields =
    custom === undefined
      ? toFields(resource, row)
      : renameKeys(custom(toTyped(resource, row)), toSnakeCase);
  return { id: row["id"] as string, version: row["version"] as number, ...fields };
}

/** A row under its TypeScript names, as plugins know it. */
export function toTyped(resource: CompiledResource, row: Row): Row {
  const typed: Row = {};
  for (const { key, name } of resource.columns) typed[key] = row[name] ?? null;
  return typed;
}

/** Reads a row from the JSON array that `selectByIds` and `page` answer. */
export function decodeRow(resource: CompiledResource, json: string): Row {
  const values = JSON.parse(json) as unknown[];
  const row: Row = {};
  resource.columns.forEach(({ name, kind }, index) => {
    const value = values[index] ?? null;
    if (kind === "plain" || value === null) row[name] = value;
    else row[name] = kind === "boolean" ? value === 1 : JSON.parse(value as string);
  });
  return row;
}

/** A row as the array that `upsert` and `insert` take. */
export function encodeRow(resource: CompiledResource, row: Row): (string | number | null)[] {
  return resource.columns.map(({ name, kind }) => {
    const value = row[name] ?? null;
    if (kind === "json" && value !== null) return JSON.stringify(value);
    if (typeof value === "boolean") return value ? 1 : 0;
    // A validated field of a plain column is text, a number or null.
    return value as string | number | null;
  });
}
