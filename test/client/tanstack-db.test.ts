/** The adapter with the real TanStack DB, over a real client and a real service. */
import { expect, test } from "bun:test";
import { createCollection } from "@tanstack/db";
import type { bundledPlugins } from "../../plugins/index.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import { createId } from "../../src/base/id.ts";
import { createClient } from "../../src/client/index.ts";
import { synclineCollectionOptions } from "../../src/client/tanstack-db.ts";
import { createWorld } from "../support/world.ts";
import { until } from "../support/client-world.ts";

interface App {
  readonly plugins: typeof bundledPlugins;
}

async function createStage() {
  const world = await createWorld();
  const client = createClient<App>({
    url: "http://service.test",
    library: world.library.state.id,
    token: world.token,
    rules: clientRules,
    fetch: async (url, init) => world.app.request(url, init),
  });
  const source = { query: "album.list", input: {}, type: "album" } as const;
  const albums = createCollection(synclineCollectionOptions(client, source));
  return {
    world,
    client,
    albums,
    names: () => albums.toArray.map((album) => album.name).toSorted(),
    until: (isTrue: () => boolean) =>
      until(
        {
          getSnapshot: () => albums.toArray,
          subscribe: (listener) => {
            const subscription = albums.subscribeChanges(listener);
            return () => subscription.unsubscribe();
          },
        },
        isTrue,
      ),
    [Symbol.asyncDispose]: async () => {
      await albums.cleanup();
      await client.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

test("a collection holds the answer, and follows what others insert, change and delete", async () => {
  await using stage = await createStage();
  const { world, albums, names, until } = stage;
  const [a, b] = [createId(), createId()];
  await world.insertAlbum("a", a);
  await albums.preload();
  expect(names()).toEqual(["a"]);
  await world.insertAlbum("b", b);
  await until(() => names().join() === "a,b");
  const send = (operation: string, id: string, data?: object) =>
    world.send("POST", `${world.at}/resources/album/commit`, { operation, id, data });
  await send("update", a, { name: "z" });
  await until(() => names().join() === "b,z");
  await send("delete", b);
  await until(() => names().join() === "z");
  expect(albums.get(a)?.version).toBe(2);
});

test("writes to a collection show at once and reach the service", async () => {
  await using stage = await createStage();
  const { world, client, albums, names, until } = stage;
  await albums.preload();
  const id = createId();
  albums.insert({ id, version: 0, name: "Iceland", description: null, coverId: null });
  expect(names()).toEqual(["Iceland"]);
  albums.update(id, (draft) => {
    draft.name = "Island";
  });
  expect(names()).toEqual(["Island"]);
  await client.synced();
  await until(() => albums.get(id)?.version === 2);
  const { body } = await world.send("GET", `${world.at}/resources/album/${id}`);
  expect(body.name).toBe("Island");
  albums.delete(id);
  expect(names()).toEqual([]);
  await client.synced();
  expect((await world.send("GET", `${world.at}/resources/album/${id}`)).status).toBe(404);
});

test("a write that the service refuses leaves the collection again, and no other", async () => {
  await using stage = await createStage();
  const { world, client, albums, names, until } = stage;
  const taken = createId();
  await world.insertAlbum("kept", taken);
  await albums.preload();
  const id = createId();
  albums.insert({ id, version: 0, name: "", description: null, coverId: null });
  expect(names()).toEqual(["", "kept"]);
  await until(() => names().join() === "kept");
  expect(client.status.getSnapshot().rejected.length).toBe(1);
});
