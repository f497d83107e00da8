import { expect, test } from "bun:test";
import { SignJWT } from "jose";
import { createId } from "../../src/base/id.ts";
import { createCluster } from "../support/cluster.ts";
import { readUntil } from "../support/events.ts";
import { SECRET, tokenFor } from "../support/world.ts";

const ndjson = { "content-type": "application/x-ndjson" };

test("GAP-01: a node that does not lead takes commit, batch, action and bulk; the leader writes them", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  const id = createId();
  expect((await b.insert("commit", id)).body).toMatchObject({
    sequence: 1,
    epoch: 1,
    mutation_id: null,
    resource: { id, name: "commit", version: 1 },
  });
  const tag = { resource_type: "tag", operation: "insert", id: createId(), data: { name: "t" } };
  const batch = await b.send("POST", `${cluster.at}/batch`, { changes: [tag] });
  expect(batch.body).toMatchObject({ first_sequence: 2, last_sequence: 2 });
  const input = { tag_id: tag.id, file_ids: [createId()] };
  const action = await b.send("POST", `${cluster.at}/actions/tag.remove`, { input });
  expect(action.body).toMatchObject({ unchanged: true, output: { removed: 0 } });
  const lines = Array.from({ length: 500 }, () => JSON.stringify({ id: createId(), name: "bulk" }));
  const bulk = await b.ask(`${cluster.at}/bulk?resource_type=album`, {
    method: "POST",
    headers: ndjson,
    body: lines.join("\n"),
  });
  expect(await bulk.json()).toMatchObject({ affected_count: 500, sequence: 3 });
  const state = (await b.send("GET", `${cluster.at}/leader`)).body;
  expect(state).toMatchObject({ leader_device_id: "a", is_self: false });
  expect((await a.send("GET", cluster.at)).body.head).toBe(3);
});

test("the caller's errors come back as the leader gave them", async () => {
  await using cluster = await createCluster();
  const [, b] = cluster.nodes;
  const id = createId();
  await b.insert("first", id);
  const twice = await b.insert("second", id);
  expect([twice.status, twice.body.code]).toEqual([409, "already_exists"]);
  expect(twice.body.current).toMatchObject({ id, name: "first" });
  const broken = await b.ask(`${cluster.at}/commit`, { method: "POST", body: "{" });
  expect([broken.status, ((await broken.json()) as { code: string }).code]).toEqual([
    400,
    "invalid_body",
  ]);
});

test("who asked, as which device, and what they may do arrive with the request", async () => {
  await using cluster = await createCluster();
  const [, b] = cluster.nodes;
  const library = cluster.at.split("/").at(-1) ?? "";
  const commit = (token: string, type: string, device?: string) =>
    b.ask(`${cluster.at}/commit`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        ...(device === undefined ? {} : { "x-device-id": device }),
      },
      body: JSON.stringify({
        resource_type: type,
        operation: "insert",
        id: createId(),
        data: { name: "x" },
      }),
    });
  const reader = await tokenFor([{ library, role: "reader" }]);
  expect((await commit(reader, "album")).status).toBe(403);
  const tagger = await tokenFor([{ library, role: "writer", types: ["tag"] }]);
  expect((await commit(tagger, "album")).status).toBe(403);
  expect((await commit(tagger, "tag")).status).toBe(200);
  expect((await commit(tagger, "tag", "phone")).status).toBe(200);
  const { entries } = (await b.send("GET", `${cluster.at}/log`)).body;
  const devices = entries.map((entry: { device_id: string }) => entry.device_id);
  expect(devices).toEqual(["tester", "phone"]);
});

test("a request is handed on once: two nodes that each take the other for the leader do not play ball", async () => {
  await using cluster = await createCluster({ leaseMs: 1_000_000 });
  const [a, b] = cluster.nodes;
  const { state } = await a.library();
  await b.library();
  state.leadsUntil = 0;
  Object.assign(state, { leaderDeviceId: "b", leaderUrl: "http://b" });
  const answer = await b.ask(`${cluster.at}/commit`, {
    method: "POST",
    headers: { "x-syncline-hop": "a" },
    body: "{}",
  });
  expect([answer.status, await answer.json()]).toMatchObject([
    421,
    { code: "not_leader", retry: "leader", leader_url: "http://a", epoch: 1 },
  ]);
});

test("a leader that cannot be reached: the request waits for the lease to end, then this node writes it", async () => {
  await using cluster = await createCluster({ leaseMs: 600 });
  const [a, b] = cluster.nodes;
  await b.insert("through a");
  (await a.library()).state.leadsUntil = 0;
  cluster.cut.add("a");
  const mutation_id = createId();
  const answer = await b.insert("by b", createId(), { mutation_id });
  expect(answer.body).toMatchObject({ sequence: 2, epoch: 2, mutation_id });
  expect((await b.send("GET", `${cluster.at}/leader`)).body.is_self).toBe(true);
});

test("a leader that cannot be reached but keeps its lease: not_leader, with where to go", async () => {
  await using cluster = await createCluster({ leaseMs: 400 });
  const [, b] = cluster.nodes;
  cluster.cut.add("a");
  const answer = await b.insert("nowhere");
  expect([answer.status, answer.body]).toMatchObject([
    421,
    { code: "not_leader", leader_url: "http://a", epoch: 1 },
  ]);
});

test("I5: a write whose answer was lost between nodes is sent again and takes effect once", async () => {
  await using cluster = await createCluster();
  const [, b] = cluster.nodes;
  await b.library();
  cluster.loseNextAnswer();
  const answer = await b.insert("once");
  expect(answer.body).toMatchObject({ sequence: 1, replayed: true });
  expect((await b.send("GET", cluster.at)).body.head).toBe(1);
});

test("only who shares the secret is believed to be a node", async () => {
  await using cluster = await createCluster();
  const [a] = cluster.nodes;
  const capability = { tokenId: "x", subject: "x", grants: [{ library: "*", role: "owner" }] };
  const forge = (key: string) =>
    new SignJWT({ capability })
      .setProtectedHeader({ alg: "HS256" })
      .setAudience("syncline:node")
      .setExpirationTime("1m")
      .sign(new TextEncoder().encode(key));
  for (const key of [SECRET, `syncline:node:another secret`]) {
    const headers = { "x-syncline-node": await forge(key) };
    expect((await a.ask(cluster.at, { headers })).status).toBe(401);
  }
});

test("reads on any node see what was written through any other, with min_sequence or without", async () => {
  await using cluster = await createCluster({ count: 3 });
  const [, b, c] = cluster.nodes;
  const id = createId();
  const { sequence } = (await b.insert("read your writes", id)).body;
  const read = await c.send("GET", `${cluster.at}/resources/album/${id}?min_sequence=${sequence}`);
  expect(read.body).toMatchObject({ id, name: "read your writes" });
  const log = (await c.send("GET", `${cluster.at}/log?after=0`)).body;
  expect(log).toMatchObject({ head: 1, has_more: false, entries: [{ record_id: id }] });
  const waits = c.send("GET", `${cluster.at}/resources/album?min_sequence=2`);
  await b.insert("later");
  expect((await waits).body.resources).toHaveLength(2);
});

test("a leader that lives but is slow: 503 after a limit of its own, and the mutation id makes a retry safe", async () => {
  await using cluster = await createCluster({ limits: { forwardMs: 60 } });
  const [, b] = cluster.nodes;
  await b.library();
  cluster.slow.add("a");
  const [id, mutation_id] = [createId(), createId()];
  const late = await b.insert("late", id, { mutation_id });
  expect([late.status, late.body]).toMatchObject([503, { code: "overloaded", retry: "later" }]);
  cluster.slow.clear();
  expect((await b.insert("late", id, { mutation_id })).body).toMatchObject({ sequence: 1 });
});

test("a write that waits behind a release begins anew instead of being refused", async () => {
  await using cluster = await createCluster();
  const [a] = cluster.nodes;
  const { committer } = await a.library();
  const busy = Promise.withResolvers<void>();
  const before = committer.exclusive(() => busy.promise);
  const releasing = a.send("POST", `${cluster.at}/leader/release`);
  while (committer.length < 1) await Bun.sleep(1);
  const write = a.insert("behind it");
  while (committer.length < 2) await Bun.sleep(1);
  busy.resolve();
  await before;
  expect((await releasing).body.is_self).toBe(false);
  expect((await write).body).toMatchObject({ sequence: 1, epoch: 2 });
});

test("a merge is asked of the node that leads the local library; another one names it", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  const { state } = await a.library();
  const ask = (node: typeof a) =>
    node.send("POST", "/v1/sync-setup", {
      local_library_id: state.id,
      remote_library_id: createId(),
      remote_url: "http://nobody",
      remote_token: "t",
      action: { type: "MergeIntoLocal" },
      leader_device_id: node.name,
    });
  expect(await ask(b)).toMatchObject({
    status: 421,
    body: { code: "not_leader", leader_url: "http://a", epoch: 1 },
  });
  expect(await ask(a)).toMatchObject({ status: 200, body: { pending_remote: true } });
});

for (const aheadMs of [-240_000, 240_000]) {
  test(`a node whose clock is ${aheadMs / 60_000} minutes ahead of the others' serves with them`, async () => {
    await using cluster = await createCluster({ aheadMs: { b: aheadMs }, leaseMs: 2_000 });
    const [a, b] = cluster.nodes;
    for (const node of [a, b, a, b])
      expect((await node.insert("x")).body).toMatchObject({ epoch: 1 });
    const stream = await b.ask(`${cluster.at}/events?after=0&encoding=json`);
    const heard = readUntil(stream, 5);
    await a.insert("x");
    expect((await heard).map(({ envelope }) => envelope.sequence)).toEqual([1, 2, 3, 4, 5]);
    await a.service.stop();
    expect((await b.insert("y")).body).toMatchObject({ sequence: 6, epoch: 2 });
  });
}
