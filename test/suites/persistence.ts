import { expect, test } from "bun:test";
import type { Persistence, PersistedStep } from "../../src/client/persistence.ts";
import { toQueryKey } from "../../src/client/query-key.ts";
import type { StoredQuery, StoredRecord } from "../../src/client/snapshot.ts";

export const storedAlbum = (id: string, sequence = 1, name = `album ${id}`): StoredRecord => ({
  type: "album",
  id,
  record: { id, version: sequence, name },
  version: sequence,
  sequence,
});

export const storedList = (ids: readonly string[], sequence = 1): StoredQuery => ({
  key: toQueryKey("album.list", {}),
  data: ids,
  sequence,
  expiresAt: 1,
  isStale: false,
  isComplete: true,
  scopes: [],
  types: ["album"],
});

export const step = (cursor: number, more: Partial<PersistedStep> = {}): PersistedStep => ({
  meta: { cursor, historyId: "history", registryHash: "registry" },
  isFresh: false,
  records: [],
  queries: [],
  droppedRecords: [],
  droppedQueries: [],
  ...more,
});

const mutation = (id: string) => ({
  id,
  request: {
    kind: "commit" as const,
    change: { operation: "delete" as const, type: "album", id: "a" },
  },
});

/** What every persistence must do. `open` opens the same disk again under the same name. */
export function persistenceSuite(
  name: string,
  open: (disk: string) => Persistence | Promise<Persistence>,
): void {
  const reopen = async (disk: string, persistence: Persistence): Promise<Persistence> => {
    await persistence.close();
    return open(disk);
  };

  test(`PERSIST-01 (${name}): what was saved is there after opening again, with its cursor`, async () => {
    let disk = await open("kept");
    await disk.save(
      step(3, { records: [storedAlbum("a"), storedAlbum("b")], queries: [storedList(["a", "b"])] }),
    );
    await disk.save(step(4, { records: [storedAlbum("a", 4, "new")] }));
    disk = await reopen("kept", disk);
    const { meta, records, queries } = await disk.load();
    expect(meta).toEqual({ cursor: 4, historyId: "history", registryHash: "registry" });
    expect(records).toEqual([storedAlbum("a", 4, "new"), storedAlbum("b")]);
    expect(queries).toEqual([storedList(["a", "b"])]);
    await disk.destroy();
  });

  test(`PERSIST-09 (${name}): what is dropped is gone, and a fresh step leaves nothing of before`, async () => {
    const disk = await open("dropped");
    await disk.save(
      step(1, { records: [storedAlbum("a"), storedAlbum("b")], queries: [storedList(["a"])] }),
    );
    await disk.save(
      step(2, {
        droppedRecords: [{ type: "album", id: "a" }],
        droppedQueries: [storedList([]).key.text],
      }),
    );
    expect(await disk.load()).toMatchObject({ records: [storedAlbum("b")], queries: [] });
    await disk.save(step(9, { isFresh: true, records: [storedAlbum("c", 9)] }));
    expect(await disk.load()).toMatchObject({
      meta: { cursor: 9 },
      records: [storedAlbum("c", 9)],
    });
    await disk.destroy();
  });

  test(`OPT-08 (${name}): mutations come back in the order they were added, whatever became of others`, async () => {
    let disk = await open("queue");
    await disk.putMutations([mutation("c")]);
    await disk.putMutations([mutation("a"), mutation("b")]);
    const problem = { code: "internal", status: 500, detail: "", retry: "later" } as const;
    await disk.putMutations([{ ...mutation("a"), problem }]);
    await disk.dropMutations(["c", "unknown"]);
    await disk.save(step(1, { isFresh: true }));
    disk = await reopen("queue", disk);
    expect(await disk.loadQueue()).toEqual([{ ...mutation("a"), problem }, mutation("b")]);
    await disk.destroy();
  });

  test(`PERSIST-12 (${name}): destroying leaves nothing, the queue included`, async () => {
    const disk = await open("destroyed");
    await disk.save(step(1, { records: [storedAlbum("a")] }));
    await disk.putMutations([mutation("a")]);
    await disk.destroy();
    const again = await open("destroyed");
    const { meta, records } = await again.load();
    expect([meta ?? null, records, await again.loadQueue()]).toEqual([null, [], []]);
    await again.destroy();
  });
}
