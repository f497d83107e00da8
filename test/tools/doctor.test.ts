import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
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

test("doctor takes a library by name, and makes no file for one that is not there", async () => {
  await using world = await createWorld();
  await world.insertAlbum("a");
  const doctor = (folder: string, ...words: string[]) => {
    const command = [process.execPath, "src/tools/cli.ts", "doctor", ...words];
    const env = { ...process.env, DATABASE_URL: `file:${folder}/{database}.db` };
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, { env });
    return `${exitCode} ${stdout.toString()}${stderr.toString()}`;
  };
  const agrees = "0 1 entry, 1 record, 0 differences.\n";
  expect(doctor(world.directory, "--library", "home")).toBe(agrees);
  expect(doctor(world.directory)).toBe(agrees);
  expect(doctor(world.directory, "--library", "nowhere")).toContain("No library is called nowhere");
  const files = await readdir(world.directory);
  expect(doctor(world.directory, "--library", createId())).toStartWith("1 error: There is no ");
  expect(doctor("/tmp/nowhere-at-all")).toStartWith("1 error: There is no ");
  expect(await readdir(world.directory)).toEqual(files);
});
