import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

test("an album and a tag of more than their lists show are deleted whole, and what is added stands last", async () => {
  await using world = await createWorld();
  const [album, tag, location] = [createId(), createId(), createId()];
  const store = async (type: string, records: readonly object[]) => {
    const response = await world.app.request(`${world.at}/bulk?resource_type=${type}&mode=insert`, {
      method: "POST",
      headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
      body: records.map((record) => JSON.stringify(record)).join("\n"),
    });
    expect(response.status).toBe(200);
  };
  const act = async (name: string, input: object) => {
    const answer = await world.send("POST", `${world.at}/actions/${name}`, { input });
    expect(answer.status).toBe(200);
    return answer.body.output as Record<string, number>;
  };
  const files = Array.from({ length: 10_050 }, () => createId());
  await store("location", [{ id: location, device_id: location, name: "Photos" }]);
  await store("album", [{ id: album, name: "All" }]);
  await store("tag", [{ id: tag, name: "all" }]);
  await store(
    "album_item",
    files.map((file_id, at) => ({ id: createId(), album_id: album, file_id, position: at })),
  );
  await store(
    "file_tag",
    files.map((file_id) => ({ id: createId(), tag_id: tag, file_id })),
  );
  const added = createId();
  expect(await act("album.add_files", { album_id: album, file_ids: [added, added] })).toEqual({
    added: 1,
  });
  const last = "SELECT file_id FROM album_items ORDER BY position DESC LIMIT 1";
  const [[row] = []] = await world.library.database.read([{ sql: last, args: [] }]);
  expect(row).toEqual([added]);
  expect(await act("album.delete", { id: album })).toEqual({ deleted: 10_052 });
  expect(await act("tag.delete", { id: tag })).toEqual({ deleted: 10_051 });
  for (const table of ["albums", "album_items", "tags", "file_tags"])
    expect(await world.count(`SELECT count(*) FROM ${table}`)).toBe(0);
});
