/**
 * A query of Syncline as a collection of TanStack DB, for its live queries and joins. Needs the package
 * `@tanstack/db` beside this one.
 *
 * @module
 */
import type { CollectionConfig } from "@tanstack/db";
import type { AnyRegistry, QueryInput, QueryItem, QueryName, TypeName } from "../resource/infer.ts";
import type { BatchChange, TypedClient, TypedQuerySnapshot } from "./api.ts";
import type { ClientRecord } from "./record.ts";

export interface CollectionSource<Source extends AnyRegistry, Name extends QueryName<Source>> {
  readonly query: Name;
  readonly input: QueryInput<Source, Name>;
  /** The type of the records, for a collection that is written to; it only reads without. */
  readonly type?: TypeName<Source>;
  /** The collection's id; the query's key when left out. */
  readonly id?: string;
}

interface Mutations {
  readonly transaction: {
    readonly mutations: readonly {
      readonly type: "insert" | "update" | "delete";
      readonly key: unknown;
      readonly modified: object;
      readonly changes: object;
    }[];
  };
}

/** What changed between two answers, by identity: a record that did not change is the same object. */
function findDifference(
  before: ReadonlyMap<string, ClientRecord>,
  after: ReadonlyMap<string, ClientRecord>,
) {
  const changed = [...after.values()].filter((record) => before.get(record.id) !== record);
  const gone = [...before.values()].filter((record) => !after.has(record.id));
  return { changed, gone };
}

/** The fields that travel: a record's version is the service's own. */
function toData(fields: object): Readonly<Record<string, unknown>> {
  const { version: _version, ...data } = fields as Record<string, unknown>;
  return data;
}

/**
 * The options of a collection: `createCollection(synclineCollectionOptions(client, { query, input }))`.
 *
 * The client's own overlay and queue hold a write until it is committed, also without a network. So
 * the collection's transaction settles at once, and nothing waits behind it; a write that the service
 * refuses leaves the collection again and stands in `client.status`.
 */
export function synclineCollectionOptions<
  Source extends AnyRegistry,
  Name extends QueryName<Source>,
>(
  client: TypedClient<Source>,
  source: CollectionSource<Source, Name>,
): CollectionConfig<QueryItem<Source, Name> & object, string> {
  type Item = QueryItem<Source, Name> & object;
  const handle = client.query(source.query, source.input);
  const write = async ({ transaction }: Mutations): Promise<void> => {
    const { type } = source;
    if (type === undefined) {
      throw new Error(`The collection of ${source.query} only reads; name its type to write.`);
    }
    const changes = transaction.mutations.map((mutation) => ({
      operation: mutation.type,
      type,
      id: mutation.key as string,
      ...(mutation.type === "insert" ? { data: toData(mutation.modified) } : {}),
      ...(mutation.type === "update" ? { data: toData(mutation.changes) } : {}),
    }));
    const { done } = client.batch(changes as unknown as BatchChange<Source>[]);
    done.catch(() => {});
  };
  return {
    id: source.id ?? handle.key.text,
    getKey: (item) => (item as unknown as ClientRecord).id,
    onInsert: write,
    onUpdate: write,
    onDelete: write,
    sync: {
      sync: ({ begin, write: put, commit, markReady, markError }) => {
        let shown: ReadonlyMap<string, ClientRecord> = new Map();
        const follow = (): void => {
          const snapshot: TypedQuerySnapshot<unknown> = handle.getSnapshot();
          const records = snapshot.data as readonly ClientRecord[];
          if (snapshot.status === "loading") return;
          if (snapshot.status === "error" && records.length === 0) {
            markError(snapshot.problem);
            return;
          }
          const next = new Map(records.map((record) => [record.id, record]));
          const { changed, gone } = findDifference(shown, next);
          if (changed.length + gone.length > 0) {
            begin();
            for (const record of changed) {
              const type = shown.has(record.id) ? "update" : "insert";
              put({ type, value: record as unknown as Item });
            }
            for (const record of gone) put({ type: "delete", value: record as unknown as Item });
            void commit();
          }
          shown = next;
          markReady();
        };
        const end = handle.subscribe(follow);
        follow();
        return end;
      },
    },
  };
}
