import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { trimLog } from "../../src/log/retention.ts";
import { readFrames } from "../support/events.ts";
import { mintToken } from "../../src/auth/token.ts";
import { systemClock } from "../../src/base/clock.ts";
import { SECRET, createWorld } from "../support/world.ts";

test("trimming removes what is old and acknowledged; an older cursor is told so", async () => {
  await using world = await createWorld();
  const { database, state } = world.library;
  for (const name of ["a", "b", "c", "d"]) await world.insertAlbum(name);
  await database.write([
    {
      sql: "INSERT INTO sync_positions (device_id, sequence, epoch, updated_at) VALUES ('phone', 3, 1, ?)",
      args: [Date.now()],
    },
  ]);
  expect(await trimLog(database, state, { beforeMs: Date.now() + 1_000, activeSinceMs: 0 })).toBe(
    3,
  );
  expect(await world.sequences()).toEqual([4]);
  const expired = await world.send("GET", `${world.at}/log?after=1`);
  expect([expired.status, expired.body.code, expired.body.oldest_sequence]).toEqual([
    410,
    "cursor_expired",
    4,
  ]);
  const stream = await world.app.request(`${world.at}/events?encoding=json&after=1`, {
    headers: { authorization: `Bearer ${world.token}` },
  });
  const events: (string | null)[] = [];
  for await (const { event } of readFrames(stream)) if (events.push(event) === 2) break;
  expect(events).toEqual(["hello", "reset"]);
  expect((await world.insertAlbum("e")).body.sequence).toBe(5);
});

test("a record that was deleted and inserted again in one transaction keeps its payload in the log", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("before", id);
  await world.send("POST", `${world.at}/batch`, {
    changes: [
      { resource_type: "album", operation: "delete", id },
      { resource_type: "album", operation: "insert", id, data: { name: "again" } },
      { resource_type: "album", operation: "insert", id: createId(), data: { name: "other" } },
    ],
  });
  const { body } = await world.send("GET", `${world.at}/log`);
  const names = body.entries.map((entry: { data: { name: string } | null }) => entry.data?.name);
  expect(names).toEqual([undefined, undefined, "again", "other"]);
});

test("LOG-11: a device holds the log back until it is silent for too long, or revoked", async () => {
  await using world = await createWorld();
  const { database, state } = world.library;
  for (const name of ["a", "b", "c", "d"]) await world.insertAlbum(name);
  const at = (device_id: string, sequence: number) =>
    world.send("POST", `${world.at}/positions`, { device_id, sequence, epoch: 1 });
  for (const id of ["phone", "desk"]) {
    await world.send("POST", `${world.at}/devices`, { id, name: id });
  }
  await at("phone", 1);
  const behind = await at("desk", 4);
  expect(behind.body).toMatchObject({ sequence: 4, needs_snapshot: false });
  const beforeMs = Date.now() + 1_000;
  expect(await trimLog(database, state, { beforeMs, activeSinceMs: 0 })).toBe(1);
  expect((await world.send("DELETE", `${world.at}/devices/phone`)).status).toBe(204);
  expect(await trimLog(database, state, { beforeMs, activeSinceMs: 0 })).toBe(3);
  expect((await at("phone", 4)).body.code).toBe("forbidden");
  await at("desk", 1);
  await world.insertAlbum("e");
  expect(await trimLog(database, state, { beforeMs, activeSinceMs: Date.now() + 1_000 })).toBe(1);
});

test("a revoked device is out at once: its streams say so and end, its tokens are refused", async () => {
  await using world = await createWorld();
  await world.send("POST", `${world.at}/devices`, { id: "phone", name: "Phone" });
  const token = await mintToken({
    secret: SECRET,
    subject: "phone",
    grants: [{ library: world.library.state.id, role: "reader" }],
    ttlSeconds: 60,
    clock: systemClock,
  });
  const headers = { authorization: `Bearer ${token}` };
  const stream = await world.app.request(`${world.at}/events?encoding=json`, { headers });
  const reading = stream.text();
  expect((await world.send("DELETE", `${world.at}/devices/phone`)).status).toBe(204);
  expect(await reading).toContain('"reason":"revoked"');
  expect((await world.app.request(`${world.at}/log`, { headers })).status).toBe(401);
  const { body } = await world.send("GET", `${world.at}/devices/phone`);
  expect(body.revoked_at).toBeString();
});
