/**
 * Lists that end at a limit, in two clients of a real service: records are inserted, moved across the
 * edge of a page and deleted, tagged, loved and put into albums, online and offline, over reloads. What
 * is shown at once is what the service says later, as far as it can be known; once all has settled,
 * every list is a fresh answer.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { itemIdOf } from "../../plugins/rules/album.ts";
import { createId } from "../../src/base/id.ts";
import { toSnakeCase, renameKeys } from "../../src/base/case.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import type { BundledClient } from "../support/client-world.ts";

type World = Awaited<ReturnType<typeof createClientWorld>>;

const many = (length: number) => Array.from({ length }, createId).toSorted();
const [fileIds, albumIds, tagIds] = [many(8), many(5), many(4)];
const [location, folder] = [createId(), createId()];
const [albumId = "", tagId = ""] = [albumIds[2], tagIds[1]];
const of = <Item>(items: readonly Item[], at: number): Item => items[at % items.length]!;

const lists = [
  ["album.list", { limit: 2 }],
  ["album.list", { limit: 2, sort: "-name" }],
  ["album.list", { limit: 2, after: "c" }],
  ["album.items", { albumId, limit: 2 }],
  ["album.items", { albumId, limit: 3, after: 1_024 }],
  ["tag.list", { limit: 2 }],
  ["tag.links", { tagId, limit: 2 }],
  ["tag.links", { limit: 3, after: "40000000-0000-4000-8000-000000000000" }],
  ["file.with_tag", { tagId, limit: 2 }],
  ["file.favorites", { limit: 2 }],
  ["album.list", { limit: 3, sort: "-name", after: "d" }],
  ["file.by_directory", { locationId: location, limit: 3 }],
  ["file.by_directory", { locationId: location, parentId: folder, limit: 2, after: "b" }],
  ["file.search", { text: "B", limit: 2 }],
] as const;
type List = (typeof lists)[number];

/** Only the service knows what belongs there. */
const isGuessed = ([name]: List) => name === "file.with_tag";

interface Step {
  readonly who: number;
  readonly what: keyof typeof deeds;
  readonly a: number;
  readonly b: number;
}

const names = ["a", "b", "B", "c", "d", "e"];

/** What a person does; each with two dice. */
const deeds = {
  putAlbum: (client: BundledClient, a: number, b: number) =>
    client.upsert("album", { id: of(albumIds, a), name: of(names, b) }),
  deleteAlbum: (client: BundledClient, a: number) =>
    client.action("album.delete", { id: of(albumIds, a) }),
  putTag: (client: BundledClient, a: number, b: number) =>
    client.upsert("tag", { id: of(tagIds, a), name: of(names, b) }),
  deleteTag: (client: BundledClient, a: number) =>
    client.action("tag.delete", { id: of(tagIds, a) }),
  putFile: (client: BundledClient, a: number, b: number) =>
    client.upsert("file", {
      id: of(fileIds, a),
      locationId: location,
      parentId: b > 6 ? folder : null,
      name: of(names, b),
      size: 1,
    }),
  renameFile: (client: BundledClient, a: number, b: number) =>
    client.action("file.rename", { id: of(fileIds, a), name: of(names, b) }),
  moveFiles: (client: BundledClient, a: number, b: number) =>
    client.action("file.move", { ids: [of(fileIds, a)], parentId: b % 2 === 0 ? folder : null }),
  deleteFile: (client: BundledClient, a: number) =>
    client.action("file.delete", { ids: [of(fileIds, a)] }),
  tag: (client: BundledClient, a: number, b: number) =>
    client.action("tag.apply", {
      tagId: of(tagIds, b),
      fileIds: [a, a + 1].map((at) => of(fileIds, at)),
    }),
  untag: (client: BundledClient, a: number, b: number) =>
    client.action("tag.remove", { tagId: of(tagIds, b), fileIds: [of(fileIds, a)] }),
  love: (client: BundledClient, a: number) =>
    client.action("file.favorite", { id: of(fileIds, a), favorite: true }),
  unlove: (client: BundledClient, a: number) =>
    client.action("file.favorite", { id: of(fileIds, a), favorite: false }),
  addToAlbum: (client: BundledClient, a: number, b: number) =>
    client.action("album.add_files", {
      albumId: of([albumId, of(albumIds, b)], b),
      fileIds: [a, a + 3].map((at) => of(fileIds, at)),
    }),
  reorder: (client: BundledClient, a: number, b: number) =>
    client.action("album.move_item", {
      id: itemIdOf(albumId, of(fileIds, a)),
      afterId: b === 0 ? null : itemIdOf(albumId, of(fileIds, b)),
    }),
  takeOut: (client: BundledClient, a: number) =>
    client.delete("album_item", itemIdOf(albumId, of(fileIds, a))),
} satisfies Record<string, (client: BundledClient, a: number, b: number) => unknown>;

const ask = async (world: World, [name, input]: List, limit: number) => {
  const body = { input: renameKeys({ ...input, limit }, toSnakeCase) };
  const answer = await world.send("POST", `${world.at}/query/${name}`, body);
  expect(answer.status).toBe(200);
  return answer.body.data as string[];
};

const handleOf = (client: BundledClient, [name, input]: List) =>
  client.query(name as "album.list", input as { limit: number });

const idsOf = (client: BundledClient, list: List) =>
  handleOf(client, list)
    .getSnapshot()
    .data.map(({ id }) => id);

async function settle(world: World, client: BundledClient): Promise<void> {
  await client.synced();
  const { sequence } = (await world.send("GET", `${world.at}/resources/album?limit=1`)).body;
  await client.waitFor(sequence);
  for (const list of lists) {
    await until(
      handleOf(client, list),
      ({ status, isStale, isFetching }) => status === "ready" && !isStale && !isFetching,
    );
  }
}

async function expectFresh(world: World, client: BundledClient): Promise<void> {
  await settle(world, client);
  for (const list of lists) {
    const { limit } = list[1];
    const { isComplete } = handleOf(client, list).getSnapshot();
    const truth = await ask(world, list, limit + 1);
    expect([list, idsOf(client, list)]).toEqual([list, truth.slice(0, limit)]);
    // It says that there may be more where its page is full, and never that there is none where there is.
    expect([list, isComplete && truth.length > limit]).toEqual([list, false]);
    expect([list, isComplete || truth.length >= limit]).toEqual([list, true]);
  }
}

/** What was shown at once is the beginning of what came; behind the end of a page is unknown ground. */
function expectForetold(client: BundledClient, shown: readonly (readonly string[])[]): void {
  for (const [at, list] of lists.entries()) {
    if (isGuessed(list)) continue;
    const [was = [], now] = [shown[at], idsOf(client, list)];
    const isWhole = handleOf(client, list).getSnapshot().isComplete;
    const known = isWhole ? was.length : was.length - 1;
    expect([list, was.slice(0, known)]).toEqual([list, now.slice(0, known)]);
  }
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(1),
  what: fc.constantFrom(...(Object.keys(deeds) as (keyof typeof deeds)[])),
  a: fc.nat(9),
  b: fc.nat(9),
});
/** 0 to 2: that one goes offline, comes back, or is opened anew. */
const turn = fc.record({ who: fc.nat(1), turn: fc.nat(2) });
const history = fc.array(fc.oneof({ weight: 8, arbitrary: step }, { weight: 1, arbitrary: turn }), {
  minLength: 10,
  maxLength: 40,
});

async function openWorld() {
  const world = await createClientWorld();
  const base = { resource_type: "file", operation: "insert" };
  const data = { location_id: location, parent_id: null, name: "folder", size: 0 };
  await world.write({ ...base, id: folder, data });
  const disks = [createMemoryDisk(), createMemoryDisk()];
  const open = (at: number): BundledClient => {
    const client = world.open({ persistence: openMemory(disks[at]) });
    for (const list of lists) handleOf(client, list).subscribe(() => {});
    return client;
  };
  const clients = disks.map((_, at) => open(at));
  for (const client of clients) await settle(world, client);
  return { world, open, clients };
}

const runs = Number(process.env["PAGES_RUNS"] ?? 12);

test("I7: whatever two people do, a list with a limit is a fresh answer once all has settled", async () => {
  const property = fc.asyncProperty(history, async (steps) => {
    const { world, open, clients } = await openWorld();
    await using _ = world;
    for (const one of steps) {
      const client = clients[one.who]!;
      if ("what" in one) deeds[one.what](client, one.a, one.b);
      else if (one.turn < 2) client.setOffline(one.turn === 0);
      else {
        await client.close();
        clients[one.who] = open(one.who);
      }
    }
    for (const client of clients) client.setOffline(false);
    for (const client of clients) await client.synced();
    for (const client of clients) await expectFresh(world, client);
  });
  await fc.assert(property, { numRuns: runs });
}, 120_000);

test("I7: what a list with a limit shows offline is what the service says later", async () => {
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { maxLength: 8 }),
    async (turns) => {
      const { world, clients } = await openWorld();
      await using _ = world;
      const client = clients[0]!;
      for (const steps of turns) {
        client.setOffline(true);
        for (const { what, a, b } of steps) deeds[what](client, a, b);
        const shown = lists.map((list) => idsOf(client, list));
        const before = client.status.getSnapshot().rejected.length;
        client.setOffline(false);
        await settle(world, client);
        if (client.status.getSnapshot().rejected.length === before) expectForetold(client, shown);
      }
      await expectFresh(world, client);
    },
  );
  await fc.assert(property, { numRuns: runs });
}, 120_000);

test("I7: what a list with a limit shows at once is what the service says later", async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
    const { world, clients } = await openWorld();
    await using _ = world;
    const client = clients[0]!;
    for (const { what, a, b } of steps) {
      deeds[what](client, a, b);
      const shown = lists.map((list) => idsOf(client, list));
      const before = client.status.getSnapshot().rejected.length;
      await settle(world, client);
      if (client.status.getSnapshot().rejected.length === before) expectForetold(client, shown);
    }
    await expectFresh(world, client);
  });
  await fc.assert(property, { numRuns: runs });
}, 120_000);
