/** What a follower must do beyond following: forks, circles, repairs, promotion, retention, clusters. */
import { expect, test } from "bun:test";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import { definePlugin, defineResource, resourceTable } from "../../src/index.ts";
import { createCluster } from "../support/cluster.ts";
import { createPair, logOf, recordsOf } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";

const insert = (name: string, id: string = createId()) => ({
  resource_type: "album",
  operation: "insert",
  id,
  data: { name },
});

test("F5: an entry that is not the leader's any more is found at the next epoch, and halts the follower", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  const follower = await pair.follow();
  await follower.settle();
  await leader.insertAlbum("common");
  await follower.settle();
  // Another copy leads now: it had not got the last entry, and wrote its own in that place.
  const { database } = leader.library;
  await leader.library.leadership.release();
  await database.write([{ sql: "DROP TRIGGER sync_log_no_update", args: [] }]).catch(() => {});
  await database.write([
    { sql: "UPDATE library SET epoch = epoch + 1", args: [] },
    { sql: "UPDATE library SET oldest_sequence = 2", args: [] },
    { sql: "DELETE FROM sync_log WHERE sequence = 1", args: [] },
    {
      sql: `INSERT INTO sync_log (sequence, epoch, transaction_id, device_id, timestamp_ms, domain, model_type,
        record_id, change_type, version, data) VALUES (1, 2, 'other', 'other', 0, 'metadata', 'album', 'x', 'insert', 1,
        '{"name":"other"}')`,
      args: [],
    },
    { sql: "UPDATE library SET oldest_sequence = 1", args: [] },
  ]);
  await leader.service.catalog.release(pair.libraryId);
  await leader.send("POST", `${pair.at}/commit`, insert("after"));
  expect(await follower.settle()).toBe("foreign");
  expect(follower.status.reason).toContain("left the common line");
  expect(follower.status.head).toBe(1);
  const ready = await pair.phone.send("GET", "/readyz");
  expect([ready.status, ready.body.halted]).toMatchObject([
    200,
    [{ library: pair.libraryId, state: "foreign" }],
  ]);
});

const crews = resourceTable("crews", { captainId: text("captain_id") });
const sailors = resourceTable("sailors", { crewId: text("crew_id") });
const columns = `id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
  updated_at integer NOT NULL, origin_device_id text NOT NULL`;
const shipPlugin = definePlugin({
  name: "ship",
  resources: [
    defineResource({
      type: "crew",
      table: crews,
      input: v.object({ captainId: v.nullish(v.string()) }),
      sync: { domain: "metadata", after: ["sailor"], breakCycle: "captainId" },
    }),
    defineResource({
      type: "sailor",
      table: sailors,
      input: v.object({ crewId: v.string() }),
      sync: { domain: "metadata", after: ["crew"] },
    }),
  ],
  migrations: {
    "0000": `CREATE TABLE crews (${columns}, captain_id text REFERENCES sailors(id))
      --> statement-breakpoint
      CREATE TABLE sailors (${columns}, crew_id text REFERENCES crews(id))`,
  },
});

test("a circle of references arrives in two passes, by snapshot and by log", async () => {
  await using pair = await createPair({ plugins: [...bundledPlugins, shipPlugin] });
  const { leader } = pair;
  const sail = async () => {
    const [crew, sailor] = [createId(), createId()];
    const changes = [
      { resource_type: "crew", operation: "insert", id: crew, data: {} },
      { resource_type: "sailor", operation: "insert", id: sailor, data: { crew_id: crew } },
    ];
    const both = await leader.send("POST", `${pair.at}/batch`, { changes });
    const closed = await leader.send("POST", `${pair.at}/commit`, {
      resource_type: "crew",
      operation: "update",
      id: crew,
      data: { captain_id: sailor },
    });
    expect([both.status, closed.status]).toEqual([200, 200]);
  };
  const rows = async (library: typeof leader.library) => {
    const [found = []] = await library.database.read([
      { sql: "SELECT id, version, captain_id FROM crews ORDER BY id", args: [] },
    ]);
    return found.map((row) => [...row]);
  };
  await sail();
  const follower = await pair.follow();
  expect(await follower.settle()).toBe("live");
  expect(await rows(await pair.replica())).toEqual(await rows(leader.library));
  // One page brings both entries of the crew: it stands with its captain at once.
  await sail();
  expect(await follower.settle()).toBe("live");
  const crew = await rows(await pair.replica());
  expect(crew).toEqual(await rows(leader.library));
  expect(crew.every((row) => row[2] !== null)).toBe(true);
});

test("listeners of a replica are told to read afresh when its records were mended", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const id = createId();
  await leader.insertAlbum("true", id);
  await (await pair.follow()).settle();
  const { database } = await pair.replica();
  await database.write([
    { sql: "UPDATE albums SET name = 'false' WHERE id = ?", args: [id] },
    { sql: "UPDATE checksums SET sum = sum + 1 WHERE resource_type = 'album'", args: [] },
  ]);
  const restarted = await pair.follow();
  const stream = await phone.app.request(`${pair.at}/events?encoding=json`, {
    headers: { authorization: `Bearer ${phone.token}` },
  });
  const reader = stream.body?.getReader();
  let seen = "";
  await restarted.settle();
  expect(await restarted.settle()).toBe("live");
  expect(restarted.status.repairs).toBe(1);
  while (!seen.includes("event: reset")) {
    const part = await reader?.read();
    if (part === undefined || part.done) break;
    seen += new TextDecoder().decode(part.value);
  }
  await reader?.cancel();
  expect(seen).toMatch(/event: reset\ndata: .*"reason":"overflow"/);
});

test("a batch that waited for its leader keeps its kind when the follower is promoted", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  const batch = { changes: [insert("a"), insert("b")], operation: "WatcherBatch" };
  expect((await phone.send("POST", `${pair.at}/batch?queue=1`, batch)).status).toBe(202);
  await phone.send("POST", `${pair.at}/leader/promote`);
  const log = (await logOf(await pair.replica())) as unknown[][];
  expect(log.map((row) => row[11])).toEqual(["WatcherBatch", "WatcherBatch"]);
});

test("LOG-11: a replica trims its own log by the leader's rule, and still follows", async () => {
  await using pair = await createPair({ limits: { retentionMs: -1, trimEveryMs: 20 } });
  const { leader } = pair;
  const follower = await pair.follow();
  await follower.settle();
  for (const name of ["a", "b"]) await leader.insertAlbum(name);
  await follower.settle();
  const replica = await pair.replica();
  for (const deadline = Date.now() + 4_000; replica.state.oldestSequence < 3;) {
    if (Date.now() > deadline) break;
    await Bun.sleep(5);
  }
  expect(replica.state).toMatchObject({ head: 2, oldestSequence: 3 });
  await leader.insertAlbum("c");
  expect(await follower.settle()).toBe("live");
  expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
});

test("LEAD: a follower of one node of a cluster goes on when the leader moves to another node", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  await using phone = await createWorld({
    deviceId: "phone",
    fetch: (url, init) => a.ask(url.replace("http://a", ""), init),
  });
  const libraryId = cluster.at.split("/").at(-1) ?? "";
  const follower = await phone.service.following.follow({
    libraryId,
    leaderUrl: "http://a",
    token: cluster.token,
  });
  await a.insert("one");
  expect(await follower.settle()).toBe("live");
  await a.send("POST", `${cluster.at}/leader/release`);
  expect((await b.insert("two")).body.epoch).toBe(2);
  expect(await follower.settle()).toBe("live");
  expect(follower.status.head).toBe(2);
  // Its own writes go to the node it knows, which hands them to the one that leads.
  const written = await phone.send("POST", `${cluster.at}/commit`, insert("three"));
  expect([written.status, written.body.epoch]).toEqual([200, 2]);
  expect(await follower.settle()).toBe("live");
  const replica = await phone.service.catalog.open(libraryId);
  expect(await recordsOf(replica)).toEqual(await recordsOf(await b.library()));
});

test("LOG-14: what a bulk deletes at the leader leaves no payload in the log of a follower either", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await follower.settle();
  const [gone, kept] = [createId(), createId()];
  await pair.leader.insertAlbum("secret", gone);
  await pair.leader.insertAlbum("kept", kept);
  await follower.settle();
  const response = await pair.leader.app.request(
    `${pair.at}/bulk?resource_type=album&mode=delete`,
    {
      method: "POST",
      headers: {
        authorization: `Bearer ${pair.leader.token}`,
        "content-type": "application/x-ndjson",
      },
      body: JSON.stringify({ id: gone }),
    },
  );
  expect(response.status).toBe(200);
  await follower.settle();
  const replica = await pair.replica();
  expect(await recordsOf(replica)).toEqual(await recordsOf(pair.leader.library));
  const log = JSON.stringify(await logOf(replica));
  expect([log.includes("secret"), log.includes("kept")]).toEqual([false, true]);
});
