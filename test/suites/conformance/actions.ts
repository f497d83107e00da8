import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { problem } from "./world.ts";
import type { Library, Topic } from "./world.ts";

async function createTree(world: Library) {
  const location_id = createId();
  const [top, middle, leaf] = [createId(), createId(), createId()];
  const file = (id: string, parent_id: string | null, name: string) => ({
    resource_type: "file",
    operation: "insert",
    id,
    data: { location_id, parent_id, name, size: 1 },
  });
  const changes = [
    file(top, null, "top"),
    file(middle, top, "middle"),
    file(leaf, middle, "leaf.txt"),
  ];
  await world.send("POST", "/batch", { body: { changes } });
  return { location_id, top, middle, leaf };
}

/** Server-side transactions with names. */
export const actions: Topic = (library) => {
  test("an action answers as a batch does, with its output", async () => {
    const world = await library();
    const { leaf } = await createTree(world);
    const before = await world.head();
    const { status, body } = await world.send("POST", "/actions/file.rename", {
      body: { input: { id: leaf, name: "leaf.jpg" } },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      first_sequence: before + 1,
      last_sequence: before + 1,
      replayed: false,
      output: { id: leaf },
      resources: [{ id: leaf, version: 2, name: "leaf.jpg", extension: "jpg" }],
    });
  });

  test("deleting a directory deletes its children first, in one transaction", async () => {
    const world = await library();
    const { top, middle, leaf } = await createTree(world);
    const before = await world.head();
    const { body } = await world.send("POST", "/actions/file.delete", {
      body: { input: { ids: [top] } },
    });
    expect(body.output).toEqual({ deleted: 3 });
    const { entries } = (await world.send("GET", `/log?after=${before}`)).body;
    expect(entries.map((entry: { record_id: string }) => entry.record_id)).toEqual([
      leaf,
      middle,
      top,
    ]);
  });

  test("I5: an action with a mutation id is replayed with its output, not run again", async () => {
    const world = await library();
    const { top } = await createTree(world);
    const body = { input: { ids: [top] }, mutation_id: createId() };
    const first = await world.send("POST", "/actions/file.delete", { body });
    const before = await world.head();
    const again = await world.send("POST", "/actions/file.delete", { body });
    expect(again.body).toEqual({ ...first.body, replayed: true });
    expect(await world.head()).toBe(before);
    const other = await world.send("POST", "/actions/file.rename", {
      body: { input: { id: top, name: "x" }, mutation_id: body.mutation_id },
    });
    expect([404, 409]).toContain(other.status);
  });

  test("tags are applied to files once each, and removed", async () => {
    const world = await library();
    const { leaf, middle } = await createTree(world);
    const tag_id = createId();
    await world.insert("tag", { name: "red" }, { id: tag_id });
    const input = { tag_id, file_ids: [leaf, middle] };
    const apply = await world.send("POST", "/actions/tag.apply", { body: { input } });
    expect(apply.body.resources).toHaveLength(2);
    const found = await world.send("POST", "/query/file.with_tag", { body: { input: { tag_id } } });
    expect(new Set(found.body.data)).toEqual(new Set([leaf, middle]));
    const again = await world.send("POST", "/actions/tag.apply", { body: { input } });
    expect([again.status, again.body.unchanged]).toEqual([200, true]);
    const removed = await world.send("POST", "/actions/tag.remove", { body: { input } });
    expect(removed.body.output).toEqual({ removed: 2 });
  });

  test("I10: an unknown action is 404, a bad input 422, a move into itself is refused by a sentence", async () => {
    const world = await library();
    const { top, middle } = await createTree(world);
    const before = await world.head();
    const run = (name: string, input: unknown) =>
      world.send("POST", `/actions/${name}`, { body: { input } });
    expect(await run("file.explode", {})).toMatchObject(problem(404, "not_found"));
    for (const input of [{}, null, 7, "x", { ids: [] }, { ids: ["x"] }]) {
      expect(await run("file.delete", input)).toMatchObject(problem(422, "invalid_record"));
    }
    const moved = await run("file.move", { ids: [top], parent_id: middle });
    expect(moved.status).toBeLessThan(500);
    expect(moved.body.detail).toContain("into itself");
    expect(await run("file.rename", { id: createId(), name: "x" })).toMatchObject(
      problem(404, "not_found"),
    );
    expect(await world.head()).toBe(before);
  });
};
