import type { Row, Table } from "./contender.ts";

function toRow(query: number, index: number): Row {
  const serial = (query * 1_000 + index).toString(16).padStart(12, "0");
  return {
    id: `0190a8d5-3f6e-7c1b-9d52-${serial}`,
    version: 1,
    parentId: `directory-${query}`,
    name: `IMG_${String(index).padStart(6, "0")}.jpeg`,
    size: 1_000_000 + index,
    mime: "image/jpeg",
    modifiedAt: "2026-11-24T18:00:00.000Z",
    contentId: `content-${serial}`,
  };
}

export function createTable(queryCount: number, rowCount: number): Table {
  return Array.from({ length: queryCount }, (_, query) =>
    Array.from({ length: rowCount }, (_, index) => toRow(query, index)),
  );
}

/** The `step`-th update of a table: rows in a fixed shuffle, each time a version higher. */
export function createUpdates(table: Table, count: number, round = 0): Row[] {
  const rows = table.flat();
  return Array.from({ length: count }, (_, step) => {
    const row = rows[(step * 7_919) % rows.length]!;
    const version = 2 + round + Math.floor(step / rows.length);
    return { ...row, version, size: row.size + version + step };
  });
}
