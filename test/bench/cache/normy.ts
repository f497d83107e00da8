import { createQueryNormalizer } from "@normy/query-core";
import { createQueries } from "./tanstack-query.ts";
import type { Contender, Row } from "./contender.ts";

/** TanStack Query whose answers normy keeps normalized. */
export function createNormy(): Contender {
  const { client, ...queries } = createQueries();
  const normalizer = createQueryNormalizer(client);
  normalizer.subscribe();
  const put = (row: Row) => normalizer.setNormalizedData({ ...row });
  return {
    ...queries,
    update: put,
    batch: (rows) => normalizer.setNormalizedData(rows.map((row) => ({ ...row }))),
    optimistic: ({ id, size }) => {
      const before = normalizer.getObjectById<Row & Record<string, string>>(id);
      normalizer.setNormalizedData({ id, size });
      normalizer.setNormalizedData({ id, size: before?.size ?? 0 });
    },
  };
}
