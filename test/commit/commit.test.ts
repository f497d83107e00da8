import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { SyncError } from "../../src/protocol/errors.ts";
import { createWorld, dense } from "../support/world.ts";

test("I1, I2: of 2,000 concurrent commits a fifth fails, and the log stays dense", async () => {
  await using world = await createWorld();
  const answers = await Promise.all(
    Array.from({ length: 2_000 }, (_, index) =>
      world.insertAlbum(index % 5 === 0 ? "" : `a${index}`),
    ),
  );
  expect(answers.filter(({ status }) => status === 200).length).toBe(1_600);
  expect(answers.filter(({ status }) => status === 422).length).toBe(400);
  expect(await world.sequences()).toEqual(dense(1_600));
  expect(await world.count("SELECT count(*) FROM albums")).toBe(1_600);
  const granted = answers.flatMap(({ status, body }) =>
    status === 200 ? [body.sequence as number] : [],
  );
  expect(granted.toSorted((a, b) => a - b)).toEqual(dense(1_600));
});

test("a member that the database refuses fails alone, the rest of its group commits", async () => {
  await using world = await createWorld();
  const taken = createId();
  const commits = Array.from({ length: 64 }, (_, index) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type: "user_metadata",
      operation: "insert",
      id: createId(),
      data: { file_id: index % 8 === 0 ? taken : createId(), favorite: true },
    }),
  );
  const statuses = (await Promise.all(commits)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200).length).toBe(57);
  expect(statuses.filter((status) => status === 422).length).toBe(7);
  expect(await world.sequences()).toEqual(dense(57));
});

test("I5: a mutation id takes effect once, always answers the same, and refuses other content", async () => {
  await using world = await createWorld();
  const id = createId();
  const mutation_id = createId();
  const twice = await Promise.all([
    world.insertAlbum("Iceland", id, { mutation_id }),
    world.insertAlbum("Iceland", id, { mutation_id }),
  ]);
  const later = await world.insertAlbum("Iceland", id, { mutation_id });
  const facts = [...twice, later].map(({ body }) => [
    body.sequence,
    body.resource.name,
    body.transaction_id,
  ]);
  expect(new Set(facts.map(String)).size).toBe(1);
  expect(
    [...twice, later].map(({ body }) => body.replayed).toSorted((a, b) => Number(a) - Number(b)),
  ).toEqual([false, true, true]);
  const other = await world.insertAlbum("Oslo", createId(), { mutation_id });
  expect([other.status, other.body.code]).toEqual([409, "mutation_reused"]);
  expect(await world.sequences()).toEqual([1]);
  const fate = await world.send("GET", `${world.at}/mutations/${mutation_id}`);
  expect(fate.body).toMatchObject({ state: "committed", sequence: 1 });
});

test("an update that changes nothing takes no sequence, and its mutation id stays spent", async () => {
  await using world = await createWorld();
  const id = createId();
  const mutation_id = createId();
  const rename = (name: string, more: object = {}) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type: "album",
      operation: "update",
      id,
      data: { name },
      ...more,
    });
  await world.insertAlbum("Iceland", id);
  expect((await rename("Iceland", { mutation_id })).body).toMatchObject({ unchanged: true });
  await rename("Oslo");
  expect((await rename("Iceland", { mutation_id })).body).toMatchObject({
    unchanged: true,
    replayed: true,
  });
  expect((await world.send("GET", `${world.at}/resources/album/${id}`)).body.name).toBe("Oslo");
  expect(await world.sequences()).toEqual([1, 2]);
});

test("an older version meets the resource's rule; a deleted record is not revived by a late update", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("Iceland", id);
  const change = (operation: string, more: object) =>
    world.send("POST", `${world.at}/commit`, { resource_type: "album", operation, id, ...more });
  await change("update", { data: { name: "Norway" } });
  const merged = await change("update", {
    expected_version: 1,
    base: { name: "Iceland", description: null },
    data: { name: "Iceland", description: "cold" },
  });
  expect(merged.body.resource).toMatchObject({ version: 3, name: "Norway", description: "cold" });
  expect((await change("delete", {})).body).toMatchObject({ sequence: 4, resource: null });
  const late = await change("update", { data: { name: "Late" }, expected_version: 3 });
  expect([late.status, late.body.code]).toEqual([409, "version_conflict"]);
  expect((await change("update", { data: { name: "Late" } })).status).toBe(404);
  expect((await change("insert", { data: { name: "Again" } })).body.resource.version).toBe(5);
  const redacted = await world.count("SELECT count(*) FROM sync_log WHERE data IS NULL");
  expect(redacted).toBe(4);
});

test("I2: a batch with one bad change changes nothing and says which one it was", async () => {
  await using world = await createWorld();
  const change = (name: string) => ({
    resource_type: "tag",
    operation: "insert",
    id: createId(),
    data: { name },
  });
  const changes = [change("a"), change("b"), change(""), change("d")];
  const refused = await world.send("POST", `${world.at}/batch`, { changes });
  expect([refused.status, refused.body.code, refused.body.index]).toEqual([
    422,
    "invalid_record",
    2,
  ]);
  expect(await world.sequences()).toEqual([]);
  const resilient = await world.send("POST", `${world.at}/batch`, { changes, atomic: false });
  expect(resilient.body.resources.length).toBe(3);
  expect(resilient.body.failed).toMatchObject([{ index: 2, problem: { code: "invalid_record" } }]);
  expect(await world.sequences()).toEqual([1, 2, 3]);
});

test("I3: what another epoch leads, this node no longer writes", async () => {
  await using world = await createWorld();
  await world.insertAlbum("before");
  await world.library.database.write([
    { sql: "UPDATE library SET epoch = epoch + 1, leader_device_id = 'other'", args: [] },
  ]);
  const bulk = await world.app.request(`${world.at}/bulk?resource_type=tag&mode=upsert`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
    body: JSON.stringify({ id: createId(), name: "late" }),
  });
  expect([bulk.status, ((await bulk.json()) as { code: string }).code]).toEqual([
    409,
    "stale_epoch",
  ]);
  expect(await world.count("SELECT count(*) FROM tags")).toBe(0);
  const refused = await world.insertAlbum("after");
  expect([refused.status, refused.body.code]).toEqual([421, "not_leader"]);
  expect(await world.sequences()).toEqual([1]);
  expect(await world.count("SELECT count(*) FROM albums")).toBe(1);
});

test("the sync log is append-only, whoever tries", async () => {
  await using world = await createWorld();
  await world.insertAlbum("Iceland");
  for (const sql of ["UPDATE sync_log SET version = 9", "DELETE FROM sync_log"]) {
    await expect(world.library.database.write([{ sql, args: [] }])).rejects.toThrow("append-only");
  }
});

test("atomic: false: a database that fails is nobody's fault; the whole request is to be sent again", async () => {
  let isFailing = false;
  await using world = await createWorld({
    decorate: (name, database) => ({
      ...database,
      write: async (statements) => {
        if (isFailing && name !== "catalog")
          throw new SyncError("database_unavailable", { retryAfterSeconds: 1 });
        return database.write(statements);
      },
    }),
  });
  const id = createId();
  const changes = [{ resource_type: "album", operation: "insert", id, data: { name: "x" } }];
  const send = () => world.send("POST", `${world.at}/batch`, { changes, atomic: false });
  isFailing = true;
  expect(await send()).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
  isFailing = false;
  expect(await send()).toMatchObject({ status: 200, body: { resources: [{ id }] } });
});
