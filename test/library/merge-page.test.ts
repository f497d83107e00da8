/** A page of a merge over a library in which people go on writing, before, while and after it is taken. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { mergeLines } from "../../src/library/merge.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

const record = (id: string, name: string, version: number) => ({
  resource_type: "album",
  resource: { id, version, name, description: null, cover_id: null },
  origin: { device_id: "other", created_at: 1, updated_at: 1 },
});

/** Merges a page; `meanwhile` comes between what it reads and what it commits. */
const merge = (
  { library, service }: World,
  lines: Parameters<typeof mergeLines>[2],
  meanwhile: () => Promise<unknown> = async () => {},
) => {
  const { database, manager, state } = library;
  const read: typeof database.read = async (statements) => {
    const rows = await database.read(statements);
    await meanwhile();
    return rows;
  };
  return mergeLines({ database: { ...database, read }, manager, state }, service, lines);
};

const change = (world: World, id: string, operation: string, data?: object) =>
  world.send("POST", `${world.at}/commit`, { resource_type: "album", operation, id, data });
const read = async (world: World, id: string) =>
  (await world.send("GET", `${world.at}/resources/album/${id}`)).body;

test("a record made anew under an id that only the other library deleted survives a repeated page", async () => {
  await using world = await createWorld();
  const id = createId();
  const page = [{ resource_type: "album", deleted: id, version: 5 }];
  expect(await merge(world, page)).toMatchObject({ mergedCount: 1, refused: [] });
  // An older record of a third library stays deleted.
  expect(await merge(world, [record(id, "old", 4)])).toMatchObject({ mergedCount: 0 });
  await world.insertAlbum("anew", id);
  expect(await merge(world, page)).toMatchObject({ mergedCount: 0, refused: [] });
  expect(await read(world, id)).toMatchObject({ name: "anew", version: 6 });
});

test("what people write while a page is taken stands as if they had written it before", async () => {
  await using world = await createWorld();
  const [edited, deleted, gone, made] = [createId(), createId(), createId(), createId()];
  for (const id of [edited, deleted, gone]) await world.insertAlbum("a", id);
  const page = [
    record(edited, "theirs", 2),
    record(deleted, "theirs", 2),
    { resource_type: "album", deleted: gone, version: 2 },
    record(made, "theirs", 1),
  ];
  const receipt = await merge(world, page, async () => {
    for (const name of ["b", "c"]) await change(world, edited, "update", { name });
    await change(world, deleted, "delete");
    await change(world, gone, "delete");
    await change(world, made, "insert", { name: "made" });
    await change(world, made, "update", { name: "made here" });
  });
  expect(receipt.refused).toEqual([]);
  expect(await read(world, edited)).toMatchObject({ name: "c", version: 3 });
  expect((await read(world, deleted)).code).toBe("not_found");
  expect((await read(world, gone)).code).toBe("not_found");
  expect(await read(world, made)).toMatchObject({ name: "made here", version: 2 });
  const { head } = world.library.state;
  await merge(world, page);
  expect(world.library.state.head).toBe(head);
});
