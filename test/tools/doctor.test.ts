import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { trimLog } from "../../src/log/retention.ts";
import { readAtOnce } from "../../src/tools/database.ts";
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
  expect(await examineLibrary(database.read, registry)).toEqual({
    entryCount: 4,
    recordCount: 1,
    differenceCount: 0,
    findings: [],
  });
  await database.write([{ sql: "UPDATE albums SET name = 'quietly' WHERE id = ?", args: [first] }]);
  const { findings } = await examineLibrary(database.read, registry);
  expect(findings[0]).toBe(`I2: album ${first} differs from its entry of version 2.`);
  expect(findings[1]).toContain("The checksum of album");
});

test("the doctor sees one moment of a library that is written meanwhile", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("before", id);
  const examined = await readAtOnce(
    `file:${join(world.directory, `${world.library.state.id}.db`)}`,
    async (read) => {
      await read([{ sql: "SELECT head FROM library", args: [] }]);
      const data = { name: "after" };
      const change = { resource_type: "album", operation: "update", id, data };
      expect((await world.send("POST", `${world.at}/commit`, change)).status).toBe(200);
      await world.insertAlbum("another");
      return examineLibrary(read, world.service.registry);
    },
  );
  expect(examined).toMatchObject({ entryCount: 1, recordCount: 1, findings: [] });
});

test("the doctor agrees with a log that was trimmed, and still names a row that was changed", async () => {
  await using world = await createWorld();
  const { database, state } = world.library;
  for (const name of ["a", "b", "c"]) await world.insertAlbum(name);
  await trimLog(database, state, { beforeMs: Date.now() + 1_000, activeSinceMs: 0 });
  await world.insertAlbum("d");
  const { registry } = world.service;
  const agreed = { entryCount: 1, recordCount: 4, findings: [] };
  expect(await examineLibrary(database.read, registry)).toMatchObject(agreed);
  await database.write([{ sql: "UPDATE albums SET name = 'quietly' WHERE name = 'a'", args: [] }]);
  const { findings } = await examineLibrary(database.read, registry);
  expect(findings).toEqual(["The checksum of album is not that of its rows."]);
});

test("the doctor waits for the entry of a bulk that goes on, or whose node died in it", async () => {
  await using world = await createWorld();
  const gate = Promise.withResolvers<void>();
  const token = createId();
  const line = (name: string) => `${JSON.stringify({ id: createId(), name })}\n`;
  const body = new ReadableStream<Uint8Array>({
    start: async (controller) => {
      const lines = Array.from({ length: 2_000 }, (_, index) => line(`album ${index}`)).join("");
      controller.enqueue(new TextEncoder().encode(lines));
      await gate.promise;
      controller.close();
    },
  });
  const sent = world.app.request(
    `${world.at}/bulk?resource_type=album&mode=insert&token=${token}`,
    {
      method: "POST",
      headers: {
        authorization: `Bearer ${world.token}`,
        "content-type": "application/x-ndjson",
      },
      body,
    },
  );
  const written = async () =>
    (await world.send("GET", `${world.at}/bulk/${token}`)).body.affected_count as number;
  while (!((await written()) > 0)) await Bun.sleep(5);
  const { findings, recordCount } = await examineLibrary(
    world.library.database.read,
    world.service.registry,
  );
  gate.resolve();
  expect((await sent).status).toBe(200);
  expect(recordCount).toBeGreaterThan(0);
  expect(findings).toEqual([]);
});

test("a bulk excuses what came before its end only, and one kind of difference hides no other", async () => {
  await using world = await createWorld();
  const { database } = world.library;
  const { registry } = world.service;
  const bulk = (mode: string, records: readonly object[]) =>
    world.app.request(`${world.at}/bulk?resource_type=album&mode=${mode}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${world.token}`,
        "content-type": "application/x-ndjson",
      },
      body: records.map((record) => `${JSON.stringify(record)}\n`).join(""),
    });
  const ids = Array.from({ length: 20 }, createId);
  const [first = "", second = "", third = ""] = ids;
  for (const id of [first, second]) await world.insertAlbum("before", id);
  const named = ids.slice(1).map((id) => ({ id, name: "bulk" }));
  expect((await bulk("upsert", named)).status).toBe(200);
  expect((await bulk("delete", [{ id: first }])).status).toBe(200);
  expect((await examineLibrary(database.read, registry)).findings).toEqual([]);

  for (const id of ids.slice(2)) {
    const change = { resource_type: "album", operation: "update", id, data: { name: "after" } };
    expect((await world.send("POST", `${world.at}/commit`, change)).status).toBe(200);
  }
  expect((await examineLibrary(database.read, registry)).findings).toEqual([]);
  await database.write([
    { sql: "UPDATE albums SET name = 'quietly' WHERE name = 'after'", args: [] },
    { sql: "UPDATE albums SET version = 9 WHERE id = ?", args: [third] },
    { sql: "DELETE FROM albums WHERE id = ?", args: [ids[3] ?? ""] },
  ]);
  const { findings, differenceCount } = await examineLibrary(database.read, registry);
  expect(differenceCount).toBe(19);
  expect(findings).toHaveLength(14);
  expect(findings).toContain(`I2: album ${third} has version 9, its entry 2.`);
  expect(findings).toContain(`I2: album ${ids[3]} is in the log, but has no row.`);
  expect(findings).toContain("… and 6 more of these.");
  expect(findings).toContain("The checksum of album counts 19, its table has 18.");
});

test("the doctor names an epoch that falls, a wrong count, and a damaged file", async () => {
  await using world = await createWorld();
  const { database } = world.library;
  for (const name of ["a", "b", "c"]) await world.insertAlbum(name);
  await database.write([
    { sql: "DROP TRIGGER sync_log_append_only", args: [] },
    { sql: "UPDATE sync_log SET epoch = 7 WHERE sequence = 2", args: [] },
    { sql: "UPDATE checksums SET count = 4 WHERE resource_type = 'album'", args: [] },
    // The index no longer says what the table does.
    { sql: "CREATE TABLE bad (x)", args: [] },
    { sql: "CREATE INDEX bad_x ON bad (x)", args: [] },
    { sql: "INSERT INTO bad VALUES (1)", args: [] },
    { sql: "PRAGMA writable_schema = ON", args: [] },
    {
      sql: "UPDATE sqlite_schema SET sql = 'CREATE INDEX bad_x ON bad (x) WHERE x > 1' WHERE name = 'bad_x'",
      args: [],
    },
  ]);
  const url = `file:${join(world.directory, `${world.library.state.id}.db`)}`;
  const { findings } = await readAtOnce(url, (read) =>
    examineLibrary(read, world.service.registry),
  );
  expect(findings).toEqual([
    "wrong # of entries in index bad_x",
    "I3: the entry 3 is of epoch 1, one before it of 7.",
    "The checksum of album counts 4, its table has 3.",
  ]);
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
  const agrees = "0 1 entry, 1 record, 0 differences.\nThe library has been examined.\n";
  expect(doctor(world.directory, "--library", "home")).toBe(agrees);
  expect(doctor(world.directory)).toBe(agrees);
  expect(doctor(world.directory, "--library", "nowhere")).toContain("No library is called nowhere");
  const files = await readdir(world.directory);
  expect(doctor(world.directory, "--library", createId())).toStartWith("1 error: There is no ");
  expect(doctor("/tmp/nowhere-at-all")).toStartWith("1 error: There is no ");
  expect(await readdir(world.directory)).toEqual(files);
});
