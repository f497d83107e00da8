import { and, eq, gt, or } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { AnySQLiteColumn } from "drizzle-orm/sqlite-core";

/** The last record of the page before: its place in the order of the list, and its id, which tells equal ones apart. */
interface Cursor {
  readonly after?: string | number | undefined;
  readonly afterId?: string | undefined;
}

/** Whether a row comes behind a cursor in a list that is ordered by one column, then by id. */
export function isBehind(
  [by, id]: readonly [by: AnySQLiteColumn, id: AnySQLiteColumn],
  { after, afterId }: Cursor,
  isBeyond = gt,
): SQL | undefined {
  if (after === undefined) return undefined;
  const isTied = afterId === undefined ? undefined : and(eq(by, after), gt(id, afterId));
  return or(isBeyond(by, after), isTied);
}
