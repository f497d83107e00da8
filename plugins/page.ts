import { and, eq, gt, or, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { AnySQLiteColumn } from "drizzle-orm/sqlite-core";

/** The last record of the page before: its place in the order of the list, and its id, which tells equal ones apart. */
interface Cursor {
  readonly after?: string | number | undefined;
  readonly afterId?: string | undefined;
}

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Where the record of that id stands; the text itself where there is none. */
function placeOf(by: AnySQLiteColumn, id: AnySQLiteColumn, after: string): SQL {
  return sql`coalesce((SELECT ${by} FROM ${id.table} WHERE ${eq(id, after)}), ${after})`;
}

/** Whether a row comes behind a cursor in a list that is ordered by one column, then by id. */
export function isBehind(
  [by, id]: readonly [by: AnySQLiteColumn, id: AnySQLiteColumn],
  { after, afterId }: Cursor,
  isBeyond = gt,
): SQL | undefined {
  if (after === undefined) return undefined;
  if (afterId === undefined && typeof after === "string" && uuid.test(after)) {
    const last = after.toLowerCase();
    const place = placeOf(by, id, last);
    return or(isBeyond(by, place), and(eq(by, place), gt(id, last)));
  }
  const isTied = afterId === undefined ? undefined : and(eq(by, after), gt(id, afterId));
  return or(isBeyond(by, after), isTied);
}
