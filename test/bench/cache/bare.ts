import type { Contender, Row, Table } from "./contender.ts";

interface BareQuery {
  readonly ids: readonly string[];
  data: readonly Row[];
  readonly listeners: (() => void)[];
}

interface Owned {
  row: Row;
  owners: BareQuery[] | Set<BareQuery>;
}

/**
 * The bound: what a cache must at least do. A Map of rows, each with the queries that show it; an
 * update replaces the row, rebuilds those queries and calls their listeners. It knows no sequences,
 * no order, no optimism beside an undo, no bounds.
 */
export function createBare(hasSets: boolean): Contender {
  const rows = new Map<string, Owned>();
  const queries: BareQuery[] = [];
  const refresh = (query: BareQuery) => {
    query.data = query.ids.map((id) => rows.get(id)!.row);
    for (const listener of query.listeners) listener();
  };
  const put = (row: Row) => {
    const owned = rows.get(row.id)!;
    owned.row = row;
    for (const query of owned.owners) refresh(query);
  };
  return {
    hydrate: (table: Table) => {
      for (const answer of table) {
        const query: BareQuery = { ids: answer.map(({ id }) => id), data: [], listeners: [] };
        for (const row of answer) {
          const owners = hasSets ? new Set([query]) : [query];
          rows.set(row.id, { row, owners });
        }
        query.data = query.ids.map((id) => rows.get(id)!.row);
        queries.push(query);
      }
    },
    subscribe: (index, listener) => void queries[index]!.listeners.push(listener),
    read: (index) => queries[index]!.data,
    update: put,
    batch: (changed) => {
      const touched = new Set<BareQuery>();
      for (const row of changed) {
        const owned = rows.get(row.id)!;
        owned.row = row;
        for (const query of owned.owners) touched.add(query);
      }
      for (const query of touched) refresh(query);
    },
    optimistic: (row) => {
      const before = rows.get(row.id)!.row;
      put(row);
      put(before);
    },
  };
}
