import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

const author = { deviceId: "node", isDevice: false };

test("I2: raw SQL commits with its entries; what it forgets to log is refused whole", async () => {
  await using world = await createWorld();
  const { manager } = world.library;
  const [kept, gone] = [createId(), createId()];
  await world.insertAlbum("kept", kept);
  await world.insertAlbum("gone", gone);
  await manager.withTx(author, async (tx) => {
    await tx.execute("UPDATE albums SET name = name || '!' WHERE id = ?", [kept]);
    await tx.execute("DELETE FROM albums WHERE id = ?", [gone]);
    tx.log("album", kept);
    tx.log("album", gone);
  });
  expect(await world.sequences()).toEqual([1, 2, 3, 4]);
  const read = await world.send("GET", `${world.at}/resources/album/${kept}`);
  expect(read.body).toMatchObject({ name: "kept!", version: 2 });
  const response = await world.app.request(`${world.at}/events?encoding=json&after=2`, {
    headers: { authorization: `Bearer ${world.token}` },
  });
  const [event] = await readUntil(response, 4);
  expect(event?.kind).toMatchObject({
    type: "ResourceBatchChanged",
    data: { deleted_ids: [gone] },
  });
  const forgetful = manager.withTx(author, (tx) => tx.execute("UPDATE albums SET name = 'silent'"));
  await expect(forgetful).rejects.toThrow(`without tx.log: album ${kept}`);
  expect((await world.send("GET", `${world.at}/resources/album/${kept}`)).body.name).toBe("kept!");
  expect((await world.insertAlbum("next")).body.sequence).toBe(5);
});

test("an action commits all it does, reads its own changes, and replays its answer", async () => {
  await using world = await createWorld();
  const [tag_id, file_id] = [createId(), createId()];
  const mutation_id = createId();
  const apply = () =>
    world.send("POST", `${world.at}/actions/tag.apply`, {
      input: { tag_id, file_ids: [file_id, createId()].slice(0, 1) },
      mutation_id,
    });
  const first = await apply();
  expect(first.body).toMatchObject({ first_sequence: 1, last_sequence: 1, output: { applied: 1 } });
  expect((await apply()).body).toMatchObject({
    first_sequence: 1,
    replayed: true,
    output: { applied: 1 },
  });
  const refused = await world.send("POST", `${world.at}/actions/tag.apply`, {
    input: { tag_id: 1 },
  });
  expect([refused.status, refused.body.issues.length]).toEqual([422, 2]);
});

test("TM-32: a record is logged again without being changed, for devices that missed what came before the log", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("kept", id);
  await world.library.manager.withTx(author, async (tx) => tx.log("album", id));
  const { entries } = (await world.send("GET", `${world.at}/log?after=1`)).body;
  expect(entries).toHaveLength(1);
  expect(entries[0]).toMatchObject({ record_id: id, change_type: "update", version: 2 });
  expect(entries[0].data.name).toBe("kept");
});

test("LOG-14: what raw SQL deletes leaves no payload in the log", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("secret", id);
  await world.library.manager.withTx(author, async (tx) => {
    await tx.execute("DELETE FROM albums WHERE id = ?", [id]);
    tx.log("album", id);
  });
  expect(await world.sequences()).toEqual([1, 2]);
  expect(await world.count("SELECT count(*) FROM sync_log WHERE data IS NOT NULL")).toBe(0);
});

test("I2: what a transaction's function did not wait for is refused, not written beside the log", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("kept", id);
  const late: Promise<unknown>[] = [];
  await world.library.manager.withTx(author, async (tx) => {
    const touch = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn += 1) {
        await tx.execute("UPDATE albums SET description = ? WHERE id = ?", [`${turn}`, id]);
      }
    };
    late.push(touch().catch((error: unknown) => error));
    tx.log("album", id);
  });
  expect(String(await late[0])).toContain("over");
  const [, entry] = (await world.send("GET", `${world.at}/log`)).body.entries;
  const read = await world.send("GET", `${world.at}/resources/album/${id}`);
  expect(read.body.description).toBe(entry.data.description);
});

test("raw SQL over several types is logged in dependency order, as any transaction", async () => {
  await using world = await createWorld();
  const [location, file] = [createId(), createId()];
  await world.library.manager.withTx(author, async (tx) => {
    const stamp = [1, 0, 0, "node"];
    await tx.execute(
      `INSERT INTO locations (id, version, created_at, updated_at, origin_device_id, device_id, name)
        VALUES (?, ?, ?, ?, ?, 'node', 'disk')`,
      [location, ...stamp],
    );
    await tx.execute(
      `INSERT INTO files (id, version, created_at, updated_at, origin_device_id, location_id, name, size)
        VALUES (?, ?, ?, ?, ?, ?, 'a', 1)`,
      [file, ...stamp, location],
    );
    tx.log("file", file);
    tx.log("location", location);
  });
  const { entries } = (await world.send("GET", `${world.at}/log`)).body;
  expect(entries.map((entry: { model_type: string }) => entry.model_type)).toEqual([
    "location",
    "file",
  ]);
});
