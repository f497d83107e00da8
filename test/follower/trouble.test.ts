import { expect, test } from "bun:test";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import { definePlugin, defineResource, resourceTable } from "../../src/index.ts";
import { createPair, logOf, recordsOf } from "../support/pair.ts";
import type { World } from "../support/world.ts";

const notes = resourceTable("notes", { body: text().notNull() });
const notePlugin = definePlugin({
  name: "note",
  resources: [
    defineResource({
      type: "note",
      table: notes,
      input: v.object({ body: v.string() }),
      sync: { domain: "metadata" },
    }),
  ],
  migrations: {
    "0000": `CREATE TABLE notes (id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
      updated_at integer NOT NULL, origin_device_id text NOT NULL, body text NOT NULL)`,
  },
});
const drafts = resourceTable("drafts", { body: text().notNull() });
const draftPlugin = definePlugin({
  name: "draft",
  resources: [
    defineResource({
      type: "draft",
      table: drafts,
      input: v.object({ body: v.string() }),
      sync: { domain: "state" },
    }),
  ],
  migrations: {
    "0000": `CREATE TABLE drafts (id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
      updated_at integer NOT NULL, origin_device_id text NOT NULL, body text NOT NULL)`,
  },
});

test("GAP-11: an entry of an unknown type stops the follower before it, and an upgrade goes on from there", async () => {
  await using pair = await createPair({ plugins: bundledPlugins });
  const { leader } = pair;
  const follower = await pair.follow();
  await follower.settle();
  await leader.insertAlbum("a");
  await leader.insertAlbum("b");
  await leader.insertAlbum("c");
  const { send } = pair.wire;
  // A newer leader: the second entry is of a type this device has never heard of.
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.includes("/log?")) return answer;
    const page = (await answer.json()) as { entries: { sequence: number; model_type: string }[] };
    for (const entry of page.entries) if (entry.sequence === 2) entry.model_type = "hologram";
    return Response.json(page);
  };
  expect(await follower.settle()).toBe("blocked");
  expect(follower.status).toMatchObject({ head: 1 });
  expect(follower.status.reason).toContain('"hologram"');
  expect(await follower.settle()).toBe("blocked");
  const seen = await pair.phone.send("GET", `${pair.at}/follower`);
  expect([seen.body.state, seen.body.head]).toEqual(["blocked", 1]);
  pair.wire.send = send;
  follower.resume();
  expect(await follower.settle()).toBe("live");
  expect(await logOf(await pair.replica())).toEqual(await logOf(leader.library));
});

test("GAP-11: a field that is not known here, and data that is none, block and are never skipped", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await follower.settle();
  await pair.leader.insertAlbum("a");
  const { send } = pair.wire;
  for (const data of [{ name: "a", hue: "red" }, "not a record"]) {
    pair.wire.send = async (url, init) => {
      const answer = await send(url, init);
      if (!url.includes("/log?")) return answer;
      const page = (await answer.json()) as { entries: { data: unknown }[] };
      for (const entry of page.entries) entry.data = data;
      return Response.json(page);
    };
    expect(await follower.settle()).toBe("blocked");
    expect(follower.status.head).toBe(0);
  }
  pair.wire.send = send;
  expect(await follower.settle()).toBe("live");
});

test("a snapshot with a type that the device does not know blocks it before anything is taken", async () => {
  await using pair = await createPair({
    plugins: [...bundledPlugins, notePlugin],
    followerPlugins: bundledPlugins,
  });
  await pair.leader.insertAlbum("a");
  const follower = await pair.follow();
  expect(await follower.settle()).toBe("blocked");
  expect((await recordsOf(await pair.replica()))["albums"]).toEqual([]);
});

test("a token that is revoked, or that hides types, is refused; a good one goes on", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  await leader.service.revocations.revoke({ kind: "subject", value: "tester" });
  expect(await follower.settle()).toBe("refused");
  await leader.service.catalog.open(pair.libraryId);
  expect(follower.status.reason).toContain("401");
  expect((await phone.service.catalog.open(pair.libraryId)).state.head).toBe(0);
});

test("a record that differs is noticed by its checksum, fetched again and reported", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  const id = createId();
  await leader.insertAlbum("true", id);
  const follower = await pair.follow();
  await follower.settle();
  const replica = await pair.replica();
  await replica.database.write([
    { sql: "UPDATE albums SET name = 'false' WHERE id = ?", args: [id] },
    { sql: "UPDATE checksums SET sum = sum + 1 WHERE resource_type = 'album'", args: [] },
  ]);
  // A follower compares when it connects, and again before it believes the difference.
  const restarted = await pair.follow();
  await restarted.settle();
  expect(await restarted.settle()).toBe("live");
  expect(restarted.status.repairs).toBe(1);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(leader.library));
});

test("BULK-07: records of a metadata bulk are fetched before the follower moves past its notice", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const lines = Array.from({ length: 1_200 }, (_, index) =>
    JSON.stringify({ id: createId(), name: `album ${index}` }),
  );
  await leader.insertAlbum("before");
  const bulk = await leader.app.request(`${pair.at}/bulk?resource_type=album`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${leader.token}`,
      "content-type": "application/x-ndjson",
    },
    body: lines.join("\n"),
  });
  expect(bulk.status).toBe(200);
  await leader.insertAlbum("after");
  expect(await follower.settle()).toBe("live");
  const replica = await pair.replica();
  expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
  expect(await logOf(replica)).toEqual(await logOf(leader.library));
});

test("a bulk through a replica is the leader's, who is asked how far it is", async () => {
  await using pair = await createPair();
  await (await pair.follow()).settle();
  const token = createId();
  const headers = {
    authorization: `Bearer ${pair.leader.token}`,
    "content-type": "application/x-ndjson",
  };
  const body = JSON.stringify({ id: createId(), name: "one" });
  const bulk = `${pair.at}/bulk?resource_type=album&token=${token}`;
  const sent = await pair.phone.app.request(bulk, { method: "POST", headers, body });
  expect(await sent.json()).toMatchObject({ affected_count: 1 });
  const ask = async (of: World, named: string) => {
    const response = await of.app.request(`${pair.at}/bulk/${named}`, { headers });
    return { status: response.status, body: (await response.json()) as object };
  };
  const told = await ask(pair.phone, token);
  expect(told).toMatchObject({ status: 200, body: { state: "complete", affected_count: 1 } });
  expect(told).toEqual(await ask(pair.leader, token));
  expect(await ask(pair.phone, createId())).toMatchObject({
    status: 404,
    body: { code: "not_found" },
  });
});

test("a bulk of domain index is the plugin's to fetch: bundled files and locations are", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const record = { id: createId(), device_id: "desk", name: "Pictures" };
  await leader.app.request(`${pair.at}/bulk?resource_type=location`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${leader.token}`,
      "content-type": "application/x-ndjson",
    },
    body: JSON.stringify(record),
  });
  expect(await follower.settle()).toBe("live");
  const ours = await recordsOf(await pair.replica());
  expect(ours["locations"]).toEqual([[record.id, 1, "desk", "Pictures"]]);
  expect(ours).toEqual(await recordsOf(leader.library));
});

test("I8, DOM-03: a record of domain state never travels, whichever way", async () => {
  await using pair = await createPair({ plugins: [...bundledPlugins, draftPlugin] });
  const { leader } = pair;
  await leader.library.database.write([
    { sql: "INSERT INTO drafts VALUES ('d', 1, 0, 0, 'node', 'mine')", args: [] },
  ]);
  await leader.insertAlbum("a");
  const follower = await pair.follow();
  expect(await follower.settle()).toBe("live");
  const replica = await pair.replica();
  const [rows] = await replica.database.read([{ sql: "SELECT * FROM drafts", args: [] }]);
  expect(rows).toEqual([]);
  const entry = (await follower.upstream.log(0, 1, null)).entries.map((one) => ({
    ...one,
    sequence: 2,
    modelType: "draft",
    data: { body: "theirs" },
  }));
  await expect(replica.manager.applyRemote({ entries: entry, epoch: 1 })).rejects.toMatchObject({
    code: "invalid_record",
  });
});
