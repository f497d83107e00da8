/** The SQL that inserts so many rows at once, written once for each count. */
export function insertValues(sql: {
  /** Up to the rows: `INSERT INTO t (a, b)`. */
  readonly into: string;
  /** One row: `(?, ?)`. */
  readonly row: string;
  /** After the rows: what happens on a conflict. */
  readonly end?: string;
}): (count: number) => string {
  const texts = new Map<number, string>();
  return (count) => {
    const known = texts.get(count);
    if (known !== undefined) return known;
    const rows = Array.from({ length: count }, () => sql.row).join(", ");
    const text = `${sql.into} VALUES ${rows} ${sql.end ?? ""}`;
    texts.set(count, text);
    return text;
  };
}
