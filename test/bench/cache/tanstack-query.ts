import { QueryClient, QueryObserver, notifyManager } from "@tanstack/query-core";
import type { QueryKey } from "@tanstack/query-core";
import type { Contender, Row, Table } from "./contender.ts";

const keyOf = (directory: string) => ["files", directory];

/** What normy shares: queries and their observers, told at once instead of in the next task. */
export function createQueries() {
  notifyManager.setScheduler((callback) => callback());
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  const observers = new Map<number, QueryObserver<readonly Row[]>>();
  const toKey = (query: number) => keyOf(`directory-${query}`);
  return {
    client,
    hydrate: (table: Table) => {
      for (const [query, rows] of table.entries()) client.setQueryData(toKey(query), rows);
    },
    subscribe: (query: number, listener: () => void) => {
      const observer = new QueryObserver<readonly Row[]>(client, {
        queryKey: toKey(query),
        notifyOnChangeProps: ["data"],
      });
      observers.set(query, observer);
      observer.subscribe(listener);
    },
    read: (query: number): readonly Row[] =>
      observers.get(query)?.getCurrentResult().data ?? client.getQueryData(toKey(query)) ?? [],
  };
}

/**
 * Answers are changed by `setQueriesData`, as its pages on updates advise. That looks
 * through every list; with `isKnown` the event is trusted to name the one list that shows the row.
 */
export function createTanStackQuery(isKnown: boolean): Contender {
  const { client, hydrate, subscribe, read } = createQueries();
  const put = (rows: readonly Row[], queryKey: QueryKey) => {
    const changed = new Map(rows.map((row) => [row.id, row]));
    client.setQueriesData<readonly Row[]>({ queryKey, exact: isKnown }, (old) =>
      old?.some(({ id }) => changed.has(id)) === true
        ? old.map((row) => changed.get(row.id) ?? row)
        : undefined,
    );
  };
  const keyFor = ({ parentId }: Row) => (isKnown ? keyOf(parentId) : ["files"]);
  const batch = (rows: readonly Row[]) => {
    if (!isKnown) return put(rows, ["files"]);
    const byDirectory = Map.groupBy(rows, ({ parentId }) => parentId);
    for (const [directory, changed] of byDirectory) put(changed, keyOf(directory));
  };
  return {
    hydrate,
    subscribe,
    read,
    update: (row) => put([row], keyFor(row)),
    batch,
    optimistic: (row) => {
      const queryKey = keyFor(row);
      const before = client.getQueriesData<readonly Row[]>({ queryKey, exact: isKnown });
      put([row], queryKey);
      for (const [key, rows] of before) client.setQueryData(key, rows);
    },
  };
}
