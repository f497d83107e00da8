import type { BuildColumns } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type {
  IndexBuilder,
  SQLiteColumn,
  SQLiteColumnBuilderBase,
  SQLiteTableWithColumns,
} from "drizzle-orm/sqlite-core";
import { toSnakeCase } from "../base/case.ts";

/** The columns that every resource has; plugins do not write them, the TransactionManager does. */
const bookkeeping = () => ({
  id: text().primaryKey(),
  version: integer().notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  originDeviceId: text("origin_device_id").notNull(),
});

/** The SQL names of the columns that stay on the node: clients see `id`, `version` and the fields. */
export const localColumns: ReadonlySet<string> = new Set([
  "created_at",
  "updated_at",
  "origin_device_id",
]);

/** Written out, because what the compiler infers names nothing that a declaration file could. */
type ResourceTable<
  Name extends string,
  Columns extends Record<string, SQLiteColumnBuilderBase>,
> = SQLiteTableWithColumns<{
  name: Name;
  schema: undefined;
  columns: BuildColumns<Name, ReturnType<typeof bookkeeping> & Columns, "sqlite">;
  dialect: "sqlite";
}>;

/**
 * A Drizzle table for a resource: your columns, and `id`, `version`, `createdAt`, `updatedAt` and
 * `originDeviceId` before them. A column without a name of its own is named in snake_case.
 */
export function resourceTable<
  Name extends string,
  Columns extends Record<string, SQLiteColumnBuilderBase>,
>(
  name: Name,
  columns: Columns,
  indexes: (table: Record<keyof Columns, SQLiteColumn>) => IndexBuilder[] = () => [],
): ResourceTable<Name, Columns> {
  for (const [key, builder] of Object.entries(columns)) {
    (builder as unknown as { setName(name: string): void }).setName(toSnakeCase(key));
  }
  return sqliteTable(name, { ...bookkeeping(), ...columns }, (table) =>
    indexes(table as unknown as Record<keyof Columns, SQLiteColumn>),
  );
}
