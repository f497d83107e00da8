import { gql } from "@apollo/client";
import { InMemoryCache } from "@apollo/client/cache";
import { cacheSizes } from "@apollo/client/utilities";
import type { Contender, Row } from "./contender.ts";

// Its advice for much data: the default sizes are passed by 10,000 rows, and each read is made anew.
Object.assign(cacheSizes, {
  "inMemoryCache.maybeBroadcastWatch": 100_000,
  "inMemoryCache.executeSelectionSet": 1_000_000,
  "inMemoryCache.executeSubSelectedArray": 1_000_000,
});

const fields = gql`
  fragment Fields on File {
    id
    version
    parentId
    name
    size
    mime
    modifiedAt
    contentId
  }
`;
const query = gql`
  query Directory($parentId: ID!) {
    directory(parentId: $parentId) {
      ...Fields
    }
  }
  ${fields}
`;
const sizeOf = gql`
  fragment Size on File {
    size
  }
`;

interface Data {
  readonly directory: readonly Row[];
}
const variablesOf = (directory: number) => ({ parentId: `directory-${directory}` });
const toFile = (row: Row) => ({ __typename: "File", ...row });

/** The cache alone, without a client around it: its watches are what `watchQuery` rests on. */
export function createApollo(): Contender {
  const cache = new InMemoryCache();
  const known = new Map<number, readonly Row[]>();
  const put = (row: Row) =>
    cache.writeFragment({ id: `File:${row.id}`, fragment: fields, data: toFile(row) });
  return {
    hydrate: (table) => {
      cache.batch({
        update: () => {
          for (const [directory, rows] of table.entries()) {
            const data = { directory: rows.map(toFile) };
            cache.writeQuery({ query, variables: variablesOf(directory), data });
          }
        },
      });
    },
    subscribe: (directory, listener) => {
      cache.watch<Data>({
        query,
        variables: variablesOf(directory),
        optimistic: true,
        immediate: true,
        callback: ({ result }) => {
          known.set(directory, (result as Data | null)?.directory ?? []);
          listener();
        },
      });
    },
    read: (directory) =>
      known.get(directory) ??
      cache.readQuery<Data>({ query, variables: variablesOf(directory) }, true)?.directory ??
      [],
    update: (row) => void put(row),
    batch: (rows) => cache.batch({ update: () => rows.forEach(put) }),
    optimistic: ({ id, size }) => {
      cache.recordOptimisticTransaction(
        (layer) =>
          void layer.writeFragment({
            id: `File:${id}`,
            fragment: sizeOf,
            data: { __typename: "File", size },
          }),
        "m",
      );
      cache.removeOptimistic("m");
    },
  };
}
