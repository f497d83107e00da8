/** Collections that end and begin again, that are refused, joined, written to in masses, or reset (C6). */
import { expect, test } from "bun:test";
import { createCollection, createLiveQueryCollection, eq } from "@tanstack/db";
import type { Collection } from "@tanstack/db";
import { createId } from "../../src/base/id.ts";
import { synclineCollectionOptions } from "../../src/client/tanstack-db.ts";
import { trimLog } from "../../src/log/retention.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import type { BundledClient, Fetch } from "../support/client-world.ts";

const albumsOf = (client: BundledClient, input: { limit?: number } = {}) =>
  createCollection(
    synclineCollectionOptions(client, { query: "album.list", input, type: "album" }),
  );
const album = (name: string, id: string = createId()) => ({
  id,
  version: 0,
  name,
  description: null,
  coverId: null,
});

interface Named {
  readonly name: string;
}
const namesOf = (records: readonly Named[]) =>
  records
    .map(({ name }) => name)
    .toSorted()
    .join();

/** Waits until a collection holds these; its changes tell when to look. */
async function untilNamed<Item extends Named>(
  collection: Collection<Item, string>,
  names: string,
): Promise<void> {
  const store = {
    getSnapshot: () => namesOf(collection.toArray),
    subscribe: (listener: () => void) => {
      const subscription = collection.subscribeChanges(listener);
      return () => subscription.unsubscribe();
    },
  };
  await until(store, (held) => held === names);
}

test("a collection that was cleaned up begins again with what the client knows, and follows", async () => {
  await using world = await createClientWorld();
  await world.insertAlbum("a");
  const albums = albumsOf(world.open());
  for (const [index, names] of ["a", "a,b", "a,b,c"].entries()) {
    await albums.preload();
    expect(namesOf(albums.toArray)).toBe(names);
    const next = "bcd"[index] ?? "";
    await world.insertAlbum(next);
    await untilNamed(albums, `${names},${next}`);
    await albums.cleanup();
    expect([albums.status, albums.size]).toEqual(["cleaned-up", 0]);
  }
});

test("a refused collection is an error, and ready as soon as it is answered", async () => {
  await using world = await createClientWorld();
  await world.insertAlbum("a");
  let isRefused = true;
  const fetch: Fetch = async (url, init) =>
    isRefused && url.includes("/query/")
      ? Response.json({ code: "forbidden", retry: "never" }, { status: 403 })
      : world.direct(url, init);
  const client = world.open({ fetch });
  const albums = albumsOf(client);
  await expect(albums.preload()).rejects.toMatchObject({ code: "forbidden" });
  expect(albums.status).toBe("error");
  isRefused = false;
  await client.query("album.list", {}).refetch();
  expect([albums.status, namesOf(albums.toArray)]).toEqual(["ready", "a"]);
  await albums.cleanup();
});

test("a live query over two collections sees a transaction over both", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const [albumId, locationId, fileId] = [createId(), createId(), createId()];
  client.insert("album", { id: albumId, name: "Iceland" });
  client.insert("location", { id: locationId, deviceId: "laptop", name: "Pictures" });
  await client.insert("file", { id: fileId, locationId, name: "a", size: 1 }).done;
  const albums = albumsOf(client);
  const items = createCollection(
    synclineCollectionOptions(client, { query: "album.items", input: { albumId } }),
  );
  const joined = createLiveQueryCollection({
    getKey: ({ id }) => id,
    query: (build) =>
      build
        .from({ item: items })
        .innerJoin({ album: albums }, (one) => eq(one.item.albumId, one.album.id))
        .select(({ item, album: of }) => ({ id: item.id, name: of.name })),
  });
  await joined.preload();
  expect(joined.size).toBe(0);
  client.batch([
    { operation: "insert", type: "album_item", data: { albumId, fileId, position: 1 } },
    { operation: "update", type: "album", id: albumId, data: { name: "Island" } },
  ]);
  expect(namesOf(joined.toArray)).toBe("Island");
  await client.synced();
  expect(namesOf(joined.toArray)).toBe("Island");
  for (const one of [joined, items, albums]) await one.cleanup();
});

test("of many transactions at once those leave that are refused, each alone", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const albums = albumsOf(client, { limit: 1_000 });
  await albums.preload();
  const all = Array.from({ length: 200 }, (_, index) =>
    album(index % 10 === 9 ? "" : `n${1_000 + index}`),
  );
  for (const one of all) albums.insert(one);
  expect(albums.size).toBe(200);
  await client.synced();
  const good = all.filter(({ name }) => name !== "");
  await untilNamed(albums, namesOf(good));
  expect(client.status.getSnapshot().rejected.length).toBe(20);
  await albums.cleanup();
});

test("an id that another device took meanwhile becomes that one's record", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const albums = albumsOf(client);
  await albums.preload();
  const id = createId();
  client.setOffline(true);
  await world.insertAlbum("theirs", id);
  albums.insert(album("mine", id));
  expect(albums.get(id)?.name).toBe("mine");
  client.setOffline(false);
  await untilNamed(albums, "theirs");
  await client.synced();
  expect(namesOf(albums.toArray)).toBe("theirs");
  await albums.cleanup();
});

test("C6: after a reset a collection holds what the service does, and what was written meanwhile", async () => {
  await using world = await createClientWorld();
  const { database, state } = world.library;
  const gone = createId();
  await world.insertAlbum("kept");
  await world.insertAlbum("gone", gone);
  const client = world.open();
  const albums = albumsOf(client);
  await albums.preload();
  expect(namesOf(albums.toArray)).toBe("gone,kept");
  client.setOffline(true);
  albums.insert(album("written away"));
  await world.write({ resource_type: "album", operation: "delete", id: gone });
  await world.insertAlbum("new");
  await trimLog(database, state, { beforeMs: Date.now() + 1_000, activeSinceMs: 0 });
  expect(namesOf(albums.toArray)).toBe("gone,kept,written away");
  client.setOffline(false);
  await untilNamed(albums, "kept,new,written away");
  await world.insertAlbum("after");
  await untilNamed(albums, "after,kept,new,written away");
  await albums.cleanup();
});

test("a write to a collection that only reads, or whose client is closed, is taken back and says why", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const readOnly = createCollection(
    synclineCollectionOptions(client, { query: "album.list", input: {} }),
  );
  await readOnly.preload();
  await expect(readOnly.insert(album("a")).isPersisted.promise).rejects.toThrow("only reads");
  expect(readOnly.size).toBe(0);
  const albums = albumsOf(client, { limit: 5 });
  await albums.preload();
  await client.close();
  await expect(albums.insert(album("b")).isPersisted.promise).rejects.toThrow("closed");
  expect(albums.size).toBe(0);
  for (const one of [readOnly, albums]) await one.cleanup();
});
