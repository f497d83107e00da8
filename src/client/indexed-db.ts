import { deleteDB, openDB } from "idb";
import type { DBSchema, IDBPDatabase } from "idb";
import type { QueuedMutation } from "./mutation.ts";
import { recordKey } from "./persistence.ts";
import type { Persistence, StoredMeta } from "./persistence.ts";
import type { StoredQuery, StoredRecord } from "./snapshot.ts";

interface Schema extends DBSchema {
  meta: { key: string; value: StoredMeta };
  records: { key: string; value: StoredRecord };
  queries: { key: string; value: StoredQuery };
  queue: { key: number; value: QueuedMutation; indexes: { id: string } };
}

/** The layout of the stores; a higher one drops the base and keeps the queue. */
const layout = 1;
const base = ["meta", "records", "queries"] as const;

/**
 * Persistence in IndexedDB. One database a person and library: `name` should hold both, so that who
 * signs in next never sees what was there.
 */
export function openIndexedDb(options: { readonly name: string }): Persistence {
  const name = `syncline:${options.name}`;
  const opening: Promise<IDBPDatabase<Schema>> = openDB<Schema>(name, layout, {
    upgrade: (db) => {
      for (const store of base) {
        if (db.objectStoreNames.contains(store)) db.deleteObjectStore(store);
        db.createObjectStore(store);
      }
      if (db.objectStoreNames.contains("queue")) return;
      db.createObjectStore("queue", { autoIncrement: true }).createIndex("id", "id", {
        unique: true,
      });
    },
    // Another tab signs out or brings a newer layout: give way.
    blocking: () => void opening.then((db) => db.close()),
  });
  // Whoever uses it is told; nobody is told twice.
  opening.catch(() => {});

  return {
    load: async () => {
      const tx = (await opening).transaction(base);
      const [meta, records, queries] = await Promise.all([
        tx.objectStore("meta").get("base"),
        tx.objectStore("records").getAll(),
        tx.objectStore("queries").getAll(),
      ]);
      return { meta, records, queries };
    },
    loadQueue: async () => (await opening).getAll("queue"),
    save: async (step) => {
      const tx = (await opening).transaction(base, "readwrite", { durability: "relaxed" });
      const records = tx.objectStore("records");
      const queries = tx.objectStore("queries");
      const work: Promise<unknown>[] = step.isFresh ? [records.clear(), queries.clear()] : [];
      for (const record of step.records) work.push(records.put(record, recordKey(record)));
      for (const query of step.queries) work.push(queries.put(query, query.key.text));
      for (const ref of step.droppedRecords) work.push(records.delete(recordKey(ref)));
      for (const text of step.droppedQueries) work.push(queries.delete(text));
      work.push(tx.objectStore("meta").put(step.meta, "base"), tx.done);
      await Promise.all(work);
    },
    putMutation: async (mutation) => {
      const tx = (await opening).transaction("queue", "readwrite", { durability: "strict" });
      const order = await tx.store.index("id").getKey(mutation.id);
      await Promise.all([tx.store.put(mutation, order), tx.done]);
    },
    dropMutation: async (id) => {
      const tx = (await opening).transaction("queue", "readwrite", { durability: "strict" });
      const order = await tx.store.index("id").getKey(id);
      await Promise.all([order === undefined ? undefined : tx.store.delete(order), tx.done]);
    },
    close: async () => (await opening).close(),
    destroy: async () => {
      (await opening).close();
      await deleteDB(name);
    },
  };
}
