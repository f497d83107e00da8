/**
 * Questions that cannot be answered: what their readers see, and what asks them again.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import { tokenFor } from "../support/world.ts";

test("a record that the token may not read tells why, and is there as soon as another token may", async () => {
  await using world = await createClientWorld();
  const id = createId();
  await world.insertAlbum("Iceland", id);
  const library = world.library.state.id;
  const token = await tokenFor([{ library, role: "reader", types: ["tag"] }]);
  const client = world.open({ token });
  const album = client.record("album", id);
  album.subscribe(() => {});
  const refused = await until(album, ({ problem }) => problem !== null);
  expect(refused).toMatchObject({
    data: null,
    isKnown: false,
    problem: { code: "forbidden", status: 403, reason: "type_not_granted" },
  });
  client.setToken(world.token);
  const { data, problem } = await until(album, ({ isKnown }) => isKnown);
  expect([data?.name, problem]).toEqual(["Iceland", null]);
  // Also the stream is another: that of the first token has no albums.
  await world.write({ resource_type: "album", operation: "update", id, data: { name: "Oslo" } });
  await until(album, (now) => now.data?.name === "Oslo");
});

test("a record that cannot be asked for now is loading again once it is asked again", async () => {
  await using world = await createClientWorld();
  const id = createId();
  await world.insertAlbum("Iceland", id);
  const service = { isAway: true };
  const client = world.open({
    fetch: async (url, init) =>
      service.isAway && url.includes("/resources/")
        ? Response.json({ code: "overloaded", retry: "later" }, { status: 503 })
        : world.direct(url, init),
  });
  const album = client.record("album", id);
  album.subscribe(() => {});
  await until(album, ({ problem }) => problem !== null);
  service.isAway = false;
  client.setOffline(true);
  client.setOffline(false);
  await until(album, ({ problem, isKnown }) => problem === null && !isKnown);
  await until(album, ({ data, problem }) => data?.name === "Iceland" && problem === null);
});

test("refetch resolves also when it is refused: the problem is in the snapshot", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const refused = client.query("file.with_tag", { tagId: "no uuid" });
  await refused.refetch();
  expect(refused.getSnapshot()).toMatchObject({
    status: "error",
    isFetching: false,
    problem: { code: "invalid_record", status: 422 },
  });
});

test("when the service is back, what failed is asked again only where somebody still looks at it", async () => {
  await using world = await createClientWorld();
  const asked: string[] = [];
  const client = world.open({
    fetch: async (url, init) => {
      if (!/\/(query|resources)\//.test(url)) return world.direct(url, init);
      asked.push(new URL(url).pathname.replace(world.at, ""));
      return Response.json({ code: "forbidden", retry: "never" }, { status: 403 });
    },
  });
  const ids = Array.from({ length: 20 }, () => createId());
  const ends = ids.map((id) => client.record("album", id).subscribe(() => {}));
  const list = client.query("album.list", {});
  const tags = client.query("tag.list", {});
  tags.subscribe(() => {});
  ends.push(list.subscribe(() => {}));
  await until(list, ({ problem }) => problem !== null);
  const last = client.record("album", ids[19] ?? "");
  await until(last, ({ problem }) => problem !== null);
  last.subscribe(() => {});
  for (const end of ends) end();
  await client.synced();
  expect(asked.length).toBe(22);
  asked.length = 0;
  client.setOffline(true);
  client.setOffline(false);
  await until(tags, ({ isFetching }) => isFetching);
  await until(tags, ({ isFetching }) => !isFetching);
  await until(last, ({ problem }) => problem !== null);
  await client.synced();
  expect(asked.toSorted()).toEqual(["/query/tag.list", `/resources/album/${ids[19]}`]);
});

test("what an overloaded service could not answer is asked again while the stream stands, until it is there", async () => {
  await using world = await createClientWorld();
  const id = createId();
  await world.insertAlbum("Iceland", id);
  const service = { isOverloaded: true, streamCount: 0 };
  const client = world.open({
    fetch: async (url, init) => {
      if (url.includes("/events")) service.streamCount += 1;
      return service.isOverloaded && /\/(query|resources)\//.test(url)
        ? Response.json({ code: "overloaded", retry: "later" }, { status: 503 })
        : world.direct(url, init);
    },
  });
  const [album, albums] = [client.record("album", id), client.query("album.list", {})];
  for (const store of [album, albums]) store.subscribe(() => {});
  await until(album, ({ problem }) => problem !== null);
  await until(albums, ({ problem }) => problem !== null);
  service.isOverloaded = false;
  expect((await until(album, ({ isKnown }) => isKnown)).data?.name).toBe("Iceland");
  expect((await until(albums, ({ status }) => status === "ready")).data.length).toBe(1);
  expect(service.streamCount).toBe(1);
});
