/**
 * Once only, refusals too: a client that was told "no" goes on as if nothing happened. A copy of the
 * same mutation that is still under way must then not take effect, whatever has changed meanwhile.
 * Found by the simulation: a request that slept in a paused node, and its twin that was refused.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

test("I5: a mutation that was refused stays refused when its reason is gone", async () => {
  await using world = await createWorld();
  const [id, mutation_id] = [createId(), createId()];
  const rename = {
    resource_type: "album",
    operation: "update",
    id,
    data: { name: "Oslo" },
    mutation_id,
  };
  const first = await world.send("POST", `${world.at}/commit`, rename);
  await world.insertAlbum("Iceland", id);
  const again = await world.send("POST", `${world.at}/commit`, rename);
  expect(first.body).toMatchObject({ status: 404, code: "not_found" });
  expect(again.body).toMatchObject({ ...first.body });
  const album = await world.send("GET", `${world.at}/resources/album/${id}`);
  expect(album.body).toMatchObject({ name: "Iceland", version: 1 });
  const fate = await world.send("GET", `${world.at}/mutations/${mutation_id}`);
  expect(fate.body).toEqual({ state: "unknown", refused: true });
});

test("I5: two copies of a refused mutation in one group get one answer", async () => {
  await using world = await createWorld();
  const [id, mutation_id] = [createId(), createId()];
  await world.insertAlbum("Iceland", id);
  const twins = await Promise.all([
    world.insertAlbum("Oslo", id, { mutation_id }),
    world.insertAlbum("Oslo", id, { mutation_id }),
  ]);
  expect(twins.map(({ body }) => body.code)).toEqual(["already_exists", "already_exists"]);
});

test("I5: an action that is sent again answers as before, though its work is done", async () => {
  await using world = await createWorld();
  const [location, id, mutation_id] = [createId(), createId(), createId()];
  const insert = (resource_type: string, record: string, data: object) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type,
      operation: "insert",
      id: record,
      data,
    });
  await insert("location", location, { device_id: createId(), name: "disk" });
  await insert("file", id, { location_id: location, name: "a.txt", size: 1 });
  const action = { input: { id, name: "b.txt" }, mutation_id };
  const first = await world.send("POST", `${world.at}/actions/file.rename`, action);
  await world.send("POST", `${world.at}/commit`, {
    resource_type: "file",
    operation: "delete",
    id,
  });
  const again = await world.send("POST", `${world.at}/actions/file.rename`, action);
  expect(first.status).toBe(200);
  expect(again.body).toEqual({ ...first.body, replayed: true });
});
