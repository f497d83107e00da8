import { createKeeper } from "./keeper.ts";
import type { Persistence } from "./persistence.ts";
import { recordKey } from "./record.ts";

/** The layout of the stores; a higher one drops the base and keeps the queue. */
const layout = 1;
const base = ["meta", "records", "queries"];

/** Resolves when a request is answered or a transaction is stored, fails when nothing of it is. */
function until(one: IDBRequest | IDBTransaction, done: "success" | "complete"): Promise<void> {
  return new Promise((resolve, reject) => {
    one.addEventListener(done, () => resolve());
    for (const failed of ["error", "abort"])
      one.addEventListener(failed, () => reject(one.error ?? new Error("Aborted.")));
  });
}

async function answerOf<Value>(request: IDBRequest<Value>): Promise<Value> {
  await until(request, "success");
  return request.result;
}

function layOut(db: IDBDatabase): void {
  for (const store of base) {
    if (db.objectStoreNames.contains(store)) db.deleteObjectStore(store);
    db.createObjectStore(store);
  }
  if (db.objectStoreNames.contains("queue")) return;
  db.createObjectStore("queue", { autoIncrement: true }).createIndex("id", "id", { unique: true });
}

async function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, layout);
  request.addEventListener("upgradeneeded", () => layOut(request.result));
  const db = await answerOf(request);
  // Another tab signs out or brings a newer layout: give way.
  db.addEventListener("versionchange", () => db.close());
  return db;
}

async function deleteDatabase(name: string): Promise<void> {
  try {
    await answerOf(indexedDB.deleteDatabase(name));
  } catch (error) {
    // Where there are no databases, or none for this page, there is nothing to delete.
    if (!/^(Reference|Security)/.test((error as Error).name)) throw error;
  }
}

/**
 * Persistence in IndexedDB. One database a person and library: `name` should hold both, so that who
 * signs in next never sees what was there.
 */
export function openIndexedDb(options: { readonly name: string }): Persistence {
  const name = `syncline:${options.name}`;
  const opening = openDatabase(name);
  // Whoever uses it is told; nobody is told twice.
  opening.catch(() => {});
  const close = (): Promise<void> =>
    opening.then(
      (db) => db.close(),
      () => {},
    );

  /** Changes the entries of mutations, which keep their places in the order, in one transaction. */
  const change = async <One>(
    ones: readonly One[],
    idOf: (one: One) => string,
    work: (queue: IDBObjectStore, one: One, order: IDBValidKey | undefined) => void,
  ): Promise<void> => {
    const tx = (await opening).transaction("queue", "readwrite", { durability: "strict" });
    const stored = until(tx, "complete");
    const queue = tx.objectStore("queue");
    for (const one of ones) {
      const lookup = queue.index("id").getKey(idOf(one));
      lookup.addEventListener("success", () => work(queue, one, lookup.result));
    }
    await stored;
  };

  return {
    keep: createKeeper,
    load: async () => {
      const tx = (await opening).transaction(base);
      const all = base.map((store) => answerOf<unknown[]>(tx.objectStore(store).getAll()));
      const [[meta] = [], records = [], queries = []] = await Promise.all(all);
      return { meta, records, queries };
    },
    loadQueue: async () =>
      answerOf<unknown[]>((await opening).transaction("queue").objectStore("queue").getAll()),
    save: async (step) => {
      const tx = (await opening).transaction(base, "readwrite", { durability: "relaxed" });
      const records = tx.objectStore("records");
      const queries = tx.objectStore("queries");
      if (step.isFresh) for (const store of [records, queries]) store.clear();
      for (const query of step.queries) queries.put(query, query.key.text);
      for (const text of step.droppedQueries) queries.delete(text);
      tx.objectStore("meta").put(step.meta, "base");
      let count = 0;
      for (const record of [...step.records, ...step.droppedRecords]) {
        const key = recordKey(record);
        const request = "version" in record ? records.put(record, key) : records.delete(key);
        // The page has a turn; the transaction lasts as long as one of its requests does.
        if ((count += 1) % 256 === 0) await until(request, "success");
      }
      await until(tx, "complete");
    },
    putMutations: (mutations) =>
      change(
        mutations,
        ({ id }) => id,
        (queue, mutation, order) => void queue.put(mutation, order),
      ),
    dropMutations: (ids) =>
      change(
        ids,
        (id) => id,
        (queue, _, order) => {
          if (order !== undefined) queue.delete(order);
        },
      ),
    close,
    destroy: () => close().then(() => deleteDatabase(name)),
  };
}
