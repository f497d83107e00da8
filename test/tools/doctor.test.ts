import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { examineLibrary } from "../../src/tools/doctor.ts";
import { createWorld } from "../support/world.ts";

test("the doctor agrees with a healthy library and names what somebody changed behind its back", async () => {
  await using world = await createWorld();
  const { database } = world.library;
  const [first, second] = [createId(), createId()];
  await world.insertAlbum("first", first);
  await world.insertAlbum("second", second);
  await world.send("POST", `${world.at}/commit`, {
    resource_type: "album",
    operation: "update",
    id: first,
    data: { name: "again" },
  });
  await world.send("POST", `${world.at}/commit`, {
    resource_type: "album",
    operation: "delete",
    id: second,
  });
  const { registry } = world.service;
  expect(await examineLibrary(database, registry)).toEqual({
    entryCount: 4,
    recordCount: 1,
    findings: [],
  });
  await database.write([{ sql: "UPDATE albums SET name = 'quietly' WHERE id = ?", args: [first] }]);
  const { findings } = await examineLibrary(database, registry);
  expect(findings[0]).toBe(`I2: album ${first} differs from its entry of version 2.`);
  expect(findings[1]).toContain("The checksum of album");
});
