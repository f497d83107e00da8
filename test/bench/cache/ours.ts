import { createCache } from "../../../src/client/cache.ts";
import { toQueryKey } from "../../../src/client/query-key.ts";
import type { ClientRules } from "../../../src/client/rules.ts";
import type { Contender, Row } from "./contender.ts";

const rules: ClientRules = {
  queries: {
    directory: {
      returns: "file",
      partition: ["parentId"],
      matches: (record: Row, input: { parentId: string }) => record.parentId === input.parentId,
      compare: (left: Row, right: Row) =>
        left.name < right.name ? -1 : left.name > right.name ? 1 : 0,
      limit: () => 1_000,
    },
  },
  actions: {},
};

/** The product: every event is checked for gaps and age, every list keeps its order. */
export function createOurs(limits = { records: 10_000, queries: 100 }): Contender {
  const cache = createCache({ rules, limits });
  const keyOf = (query: number) => toQueryKey("directory", { parentId: `directory-${query}` });
  const keys: ReturnType<typeof keyOf>[] = [];
  let sequence = 0;
  cache.start(0);
  const event = (rows: readonly Row[]) => {
    sequence += 1;
    cache.applyEvent({
      sequence,
      span: 1,
      transactionId: "t",
      changed: rows.map((record) => ({ type: "file", record: record as Row & object as never })),
      deleted: [],
      touched: [],
    });
  };
  return {
    hydrate: (table) => {
      for (const [query, rows] of table.entries()) {
        const key = (keys[query] = keyOf(query));
        const records = rows.map((record) => ({ type: "file", record: record as never }));
        const parts = { sequence: 0, ttlMs: 300_000, scopes: [], types: ["file"] };
        cache.putAnswer(key, { data: rows.map(({ id }) => id), records, ...parts }, 0);
        cache.query(key);
      }
    },
    subscribe: (query, listener) => void cache.subscribeQuery(keys[query]!, listener),
    read: (query) => cache.query(keys[query]!).data,
    update: (row) => event([row]),
    batch: event,
    optimistic: ({ id, size }) => {
      cache.mutate({ id: "m", apply: (draft) => draft.update("file", id, { size }) });
      cache.reject("m");
    },
  };
}
