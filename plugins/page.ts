import { and, eq, gt, or, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { AnySQLiteColumn } from "drizzle-orm/sqlite-core";

/** The last record of the page before: its place in the order of the list, and its id, which tells equal ones apart. */
interface Cursor {
  readonly after?: string | number | undefined;
  readonly afterId?: string | undefined;
}

/** The last record by its id alone, whose place in the list only the database knows. */
const isId = /^[\da-f-]{36}$/i;

/** Whether a row comes behind a cursor in a list that is ordered by one column, then by id. */
export function isBehind(
  [by, id]: readonly [by: AnySQLiteColumn, id: AnySQLiteColumn],
  { after, afterId }: Cursor,
  isBeyond = gt,
): SQL | undefined {
  if (after === undefined) return undefined;
  const last =
    afterId === undefined && typeof after === "string" && isId.test(after)
      ? after.toLowerCase()
      : undefined;
  const place =
    last === undefined
      ? after
      : sql`coalesce((SELECT ${by} FROM ${id.table} WHERE ${eq(id, last)}), ${after})`;
  const tie = afterId ?? last;
  return or(isBeyond(by, place), tie === undefined ? tie : and(eq(by, place), gt(id, tie)));
}
