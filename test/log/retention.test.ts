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

test("LOG-11: a library that is never open for a whole day is trimmed all the same", async () => {
  await using world = await createWorld({ limits: { retentionMs: -1 } });
  const { state } = world.library;
  for (const name of ["a", "b"]) await world.insertAlbum(name);
  while (state.oldestSequence < 3) await Bun.sleep(5);
  expect(await world.sequences()).toEqual([]);
  expect((await world.insertAlbum("c")).body.sequence).toBe(3);
});

test("LOG-11: a trim that fails is tried again while the library is open", async () => {
  let failures = 1;
  await using world = await createWorld({
    limits: { retentionMs: -1 },
    decorate: (_, database) => ({
      ...database,
      write: async (statements) => {
        const isTrim = JSON.stringify(statements).includes("max(oldest_sequence");
        if (isTrim && failures > 0) {
          failures -= 1;
          throw new Error("The disk is full.");
        }
        return database.write(statements);
      },
    }),
  });
  for (const name of ["a", "b"]) await world.insertAlbum(name);
  while (world.library.state.oldestSequence < 3) await Bun.sleep(5);
  expect([failures, await world.sequences()]).toEqual([0, []]);
}, 15_000);

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

test("commits come between the chunks of a long trim, and no node moves the horizon back", async () => {
  await using world = await createWorld();
  const { database, state, committer } = world.library;
  await world.insertAlbum("first");
  await database.write([
    {
      sql: `INSERT INTO sync_log (sequence, epoch, transaction_id, device_id, timestamp_ms, domain, model_type,
        record_id, change_type, version, data) WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n
        WHERE i < 12000) SELECT i, 1, i, 'd', 0, 'metadata', 'album', i, 'insert', 1, '{}' FROM n`,
      args: [],
    },
    { sql: "UPDATE library SET head = 12000", args: [] },
  ]);
  state.head = 12_000;
  const ended: string[] = [];
  const trim = { beforeMs: 1, activeSinceMs: 0 };
  const known = { ...state };
  const trimming = trimLog(database, state, {
    ...trim,
    alone: (run) => committer.exclusive(run),
  }).then((count) => ended.push(`trimmed ${count}`));
  const writing = world.insertAlbum("meanwhile").then(({ status }) => ended.push(`${status}`));
  await Promise.all([trimming, writing]);
  expect(ended).toEqual(["200", "trimmed 12000"]);
  // As a node does that led before, and has not heard of it.
  await world.send("POST", `${world.at}/positions`, { device_id: "d", sequence: 9, epoch: 1 });
  await trimLog(database, known, { beforeMs: Date.now() + 1_000, activeSinceMs: 0 });
  expect(await world.count("SELECT oldest_sequence FROM library")).toBe(12_001);
});

test("I6: a log that is trimmed while it is read tells its reader so, and leaves nothing out", async () => {
  const gate: { trim: (() => Promise<unknown>) | null } = { trim: null };
  await using world = await createWorld({
    decorate: (_, database) => ({
      ...database,
      // Between the question where a page ends and the page itself.
      readNear: async (statements) => {
        const { trim } = gate;
        if (trim === null || !statements[0]?.sql.includes("json_group_array"))
          return database.readNear(statements);
        gate.trim = null;
        await trim();
        return database.readNear(statements);
      },
    }),
  });
  const { database, state } = world.library;
  for (const name of ["a", "b", "c", "d"]) await world.insertAlbum(name);
  await world.send("POST", `${world.at}/positions`, { device_id: "d", sequence: 3, epoch: 1 });
  const trim = { beforeMs: Date.now() + 1_000, activeSinceMs: 0 };
  // As if another node did it: this one has not heard of it yet.
  gate.trim = () => trimLog(database, { ...state }, trim);
  const read = await world.send("GET", `${world.at}/log?after=1`);
  expect([read.status, read.body.code, read.body.oldest_sequence]).toEqual([
    410,
    "cursor_expired",
    4,
  ]);
  gate.trim = () => trimLog(database, { ...state, oldestSequence: 4 }, trim);
  await world.insertAlbum("e");
  await world.send("POST", `${world.at}/positions`, { device_id: "d", sequence: 4, epoch: 1 });
  const stream = await world.app.request(`${world.at}/events?encoding=json&after=3`, {
    headers: { authorization: `Bearer ${world.token}` },
  });
  expect(await stream.text()).not.toContain("ResourceChanged");
});

test("what was refused is forgotten when it is old, also where nothing of the log is trimmed", async () => {
  await using world = await createWorld();
  const { database, state } = world.library;
  const fates = ["refused", "young", "kept"] as const;
  const old = Date.now() - 1_000;
  await world.insertAlbum("a");
  await database.write(
    fates.map((fate) => ({
      sql: `INSERT INTO mutations (mutation_id, fingerprint, last_sequence, created_at) VALUES (?, '', ?, ?)`,
      args: [fate, fate === "kept" ? 1 : null, fate === "young" ? Date.now() + 60_000 : old],
    })),
  );
  const held = {
    sql: "INSERT INTO sync_positions (device_id, sequence, epoch, updated_at) VALUES ('phone', 0, 1, ?)",
    args: [Date.now()],
  };
  await database.write([held]);
  expect(await trimLog(database, state, { beforeMs: Date.now(), activeSinceMs: 0 })).toBe(0);
  const sql = "SELECT mutation_id FROM mutations ORDER BY mutation_id";
  expect(await database.read([{ sql, args: [] }])).toEqual([[["kept"], ["young"]]]);
  await database.write([{ sql: "DELETE FROM sync_positions", args: [] }]);
  await trimLog(database, state, { beforeMs: Date.now() + 1_000, activeSinceMs: 0 });
  expect(await database.read([{ sql, args: [] }])).toEqual([[["young"]]]);
});

test("a page of deletes, whose payloads are all gone, is as long as it was asked for", async () => {
  await using world = await createWorld();
  const ids = Array.from({ length: 12 }, () => createId());
  for (const id of ids) await world.insertAlbum("a", id);
  for (const id of ids) {
    const change = { resource_type: "album", operation: "delete", id };
    expect((await world.send("POST", `${world.at}/commit`, change)).status).toBe(200);
  }
  const { body } = await world.send("GET", `${world.at}/log?after=2&limit=5`);
  expect([body.entries.length, body.has_more]).toEqual([5, true]);
});
