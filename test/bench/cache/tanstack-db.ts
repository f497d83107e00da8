import {
  BasicIndex,
  createCollection,
  createLiveQueryCollection,
  createTransaction,
  eq,
} from "@tanstack/db";
import type { ChangeMessageOrDeleteKeyMessage } from "@tanstack/db";
import type { Contender, Row } from "./contender.ts";

/** One collection, fed by a sync function; each query is a live query of it, ordered by name. */
export function createTanStackDb(): Contender {
  let begin = (): void => {};
  let write: (change: ChangeMessageOrDeleteKeyMessage<Row, string>) => void = () => {};
  let commit = (): void => {};
  const files = createCollection<Row, string>({
    id: "files",
    getKey: ({ id }) => id,
    startSync: true,
    autoIndex: "eager",
    defaultIndexType: BasicIndex,
    sync: {
      rowUpdateMode: "full",
      sync: (parts) => {
        ({ begin, write, commit } = parts);
        parts.markReady();
      },
    },
  });
  const toQuery = (directory: string) =>
    createLiveQueryCollection({
      startSync: true,
      query: (build) =>
        build
          .from({ file: files })
          .where(({ file }) => eq(file.parentId, directory))
          .orderBy(({ file }) => file.name),
    });
  const queries: ReturnType<typeof toQuery>[] = [];
  const put = (rows: readonly Row[], type: "insert" | "update") => {
    begin();
    for (const value of rows) write({ type, value });
    commit();
  };
  return {
    hydrate: (table) => {
      put(table.flat(), "insert");
      for (const query of table.keys()) queries.push(toQuery(`directory-${query}`));
    },
    subscribe: (query, listener) => void queries[query]!.subscribeChanges(listener),
    read: (query) => queries[query]!.toArray,
    update: (row) => put([row], "update"),
    batch: (rows) => put(rows, "update"),
    optimistic: ({ id, size }) => {
      const transaction = createTransaction({ autoCommit: false, mutationFn: async () => {} });
      transaction.isPersisted.promise.catch(() => {});
      transaction.mutate(() => files.update(id, (draft) => void Object.assign(draft, { size })));
      transaction.rollback();
    },
  };
}
