import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { systemClock } from "../../src/base/clock.ts";
import { examineLibrary } from "../../src/tools/doctor.ts";
import { createWorld } from "../support/world.ts";

test("a tree of thousands is deleted at once, children first, and the service lives meanwhile", async () => {
  await using world = await createWorld();
  const [location, root, middle] = [createId(), createId(), createId()];
  const file = (id: string, parent_id: string | null, name: string) =>
    JSON.stringify({ id, location_id: location, parent_id, name, size: 1 });
  const store = async (type: string, lines: readonly string[]) => {
    const response = await world.app.request(`${world.at}/bulk?resource_type=${type}&mode=insert`, {
      method: "POST",
      headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    expect(response.status).toBe(200);
  };
  await store("location", [JSON.stringify({ id: location, device_id: location, name: "Photos" })]);
  const leaves = Array.from({ length: 3_000 }, () => createId());
  const kept = createId();
  await store("file", [
    file(root, null, "root"),
    file(middle, root, "middle"),
    ...leaves.map((id, at) => file(id, at % 2 === 0 ? root : middle, `f${at}`)),
    file(kept, null, "kept"),
  ]);
  await store(
    "user_metadata",
    leaves.map((file_id) => JSON.stringify({ id: createId(), file_id, favorite: true })),
  );
  let turns = 0;
  const stop = systemClock.every(1, () => (turns += 1));
  const answer = await world.send("POST", `${world.at}/actions/file.delete`, {
    input: { ids: [middle, root, createId()] },
  });
  stop();
  expect([answer.status, answer.body.output]).toEqual([200, { deleted: 3_002 }]);
  expect(turns).toBeGreaterThan(1);
  expect(await world.count("SELECT count(*) FROM files")).toBe(1);
  expect(await world.count("SELECT count(*) FROM user_metadata")).toBe(0);
  const order = `SELECT record_id FROM sync_log WHERE model_type = 'file' AND change_type = 'delete'
    ORDER BY sequence`;
  const [rows = []] = await world.library.database.read([{ sql: order, args: [] }]);
  const deleted = rows.map(([id]) => id);
  expect(deleted.slice(-2)).toEqual([middle, root]);
  const { database } = world.library;
  expect((await examineLibrary(database.read, world.service.registry)).findings).toEqual([]);
});

test("what was attached to a file after it had gone goes when it is deleted again", async () => {
  await using world = await createWorld();
  const [file_id, tag_id] = [createId(), createId()];
  const link = { resource_type: "file_tag", operation: "insert", id: createId() };
  await world.send("POST", `${world.at}/commit`, { ...link, data: { file_id, tag_id } });
  const input = { ids: [file_id] };
  const { body } = await world.send("POST", `${world.at}/actions/file.delete`, { input });
  expect(body.output).toEqual({ deleted: 0 });
  expect(await world.count("SELECT count(*) FROM file_tags")).toBe(0);
});
