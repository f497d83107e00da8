import { CombinedError, createClient, gql, makeErrorResult, makeResult } from "@urql/core";
import type { Exchange, Operation, OperationResult } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import {
  filter,
  fromPromise,
  fromValue,
  makeSubject,
  merge,
  mergeMap,
  pipe,
  subscribe,
} from "wonka";
import type { Contender, Row, Table } from "./contender.ts";

const fields = "__typename id version parentId name size mime modifiedAt contentId";
const query = gql`query ($parentId: ID!) { directory(parentId: $parentId) { ${fields} } }`;
const changes = gql`subscription { changes { ${fields} } }`;
const resize = gql`
  mutation ($id: ID!, $size: Int!) {
    resize(id: $id, size: $size) {
      __typename
      id
      size
    }
  }
`;

interface Data {
  readonly directory: readonly Row[];
}
const toFile = (row: Row) => ({ __typename: "File", ...row });

/** A service that answers at once, pushes what it is given, and refuses every mutation. */
function createService(answers: ReadonlyMap<string, readonly Row[]>) {
  const pushed = makeSubject<OperationResult>();
  let stream: Operation | null = null;
  const answer = (operation: Operation): OperationResult => {
    const { parentId } = operation.variables as { readonly parentId: string };
    const directory = (answers.get(parentId) ?? []).map(toFile);
    return makeResult(operation, { data: { directory } });
  };
  /** Later, so that the optimistic result is shown before. */
  const refuse = async (operation: Operation): Promise<OperationResult> => {
    await Promise.resolve();
    return makeErrorResult(operation, new CombinedError({ networkError: new Error("refused") }));
  };
  const exchange: Exchange = () => (operations) =>
    merge([
      pipe(
        operations,
        filter((operation) => {
          if (operation.kind === "subscription") stream = operation;
          return operation.kind === "query" || operation.kind === "mutation";
        }),
        mergeMap((operation) =>
          operation.kind === "query"
            ? fromValue(answer(operation))
            : fromPromise(refuse(operation)),
        ),
      ),
      pushed.source,
    ]);
  return {
    exchange,
    push: (rows: readonly Row[]) => {
      if (stream === null) throw new Error("nobody subscribed");
      pushed.next(makeResult(stream, { data: { changes: rows.map(toFile) }, hasNext: true }));
    },
  };
}

/** Changes arrive by a subscription; a mutation with an optimistic twin is refused. */
export function createGraphcache(): Contender {
  const answers = new Map<string, readonly Row[]>();
  const service = createService(answers);
  const client = createClient({
    url: "http://localhost/graphql",
    preferGetMethod: false,
    exchanges: [
      cacheExchange({
        optimistic: { resize: ({ id, size }) => ({ __typename: "File", id, size }) },
      }),
      service.exchange,
    ],
  });
  const known = new Map<number, readonly Row[]>();
  const variablesOf = (directory: number) => ({ parentId: `directory-${directory}` });
  pipe(
    client.subscription(changes, {}),
    subscribe(() => {}),
  );
  const read = (directory: number) =>
    known.get(directory) ??
    client.readQuery<Data>(query, variablesOf(directory))?.data?.directory ??
    [];
  const push = async (rows: readonly Row[]) => {
    service.push(rows);
    await Promise.resolve();
  };
  return {
    hydrate: (table: Table) => {
      for (const [directory, rows] of table.entries()) {
        answers.set(variablesOf(directory).parentId, rows);
        read(directory);
      }
    },
    subscribe: (directory, listener) => {
      pipe(
        client.query<Data>(query, variablesOf(directory)),
        subscribe(({ data }) => {
          known.set(directory, data?.directory ?? []);
          listener();
        }),
      );
    },
    read,
    update: (row) => push([row]),
    batch: push,
    optimistic: async ({ id, size }) => {
      await client.mutation(resize, { id, size }).toPromise();
    },
  };
}
