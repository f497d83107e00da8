/** A copy that two nodes serve is promoted at one of them: what waited, and what the other still does. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { readWaiting } from "../../src/follower/outbox.ts";
import { fromProblem } from "../../src/follower/upstream.ts";
import { createPair } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

/** Another node over the phone's databases. */
const secondNode = (pair: Pair): Promise<World> =>
  createWorld({
    deviceId: "second",
    directory: pair.phone.directory,
    fetch: async (url, init) => pair.wire.send(url, init),
  });

const insert = (world: World, pair: Pair, name: string, query = "") =>
  world.send("POST", `${pair.at}/commit${query}`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name },
  });

const unreached = (): Response => new Response("null", { status: 502 });

async function namesOf({ service }: World, { libraryId }: Pair): Promise<unknown[]> {
  const { database } = await service.catalog.open(libraryId);
  const sql = "SELECT data->>'name' FROM sync_log ORDER BY sequence";
  const [rows = []] = await database.read([{ sql, args: [] }]);
  return rows.map(([name]) => name);
}

test("a write waits also when what stands before the leader says nothing but 502", async () => {
  await using pair = await createPair();
  await (await pair.follow()).settle();
  pair.wire.send = async () => unreached();
  expect((await insert(pair.phone, pair, "a", "?queue=1")).status).toBe(202);
  expect((await insert(pair.phone, pair, "b", "?queue=1")).status).toBe(202);
  // It is no fault of what was sent, which would be set aside after a while.
  expect(fromProblem(502, {}).code).toBe("overloaded");
});

test("what waits where a copy has come to lead is committed before anything else", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  const names = Array.from({ length: 120 }, (_, at) => `waited ${at}`);
  const ids = names.map(() => createId());
  const { database } = await pair.replica();
  // As a node leaves it that ended in the middle of a promotion.
  await database.write(
    names.map((name, at) => {
      const request = { resource_type: "album", operation: "insert", id: ids[at], data: { name } };
      const sql = "INSERT INTO outbox (mutation_id, request, created_at) VALUES (?, ?, 0)";
      return { sql, args: [ids[at] ?? "", JSON.stringify(request)] };
    }),
  );
  await phone.service.catalog.release(pair.libraryId);
  await Promise.all([1, 2, 3].map(() => insert(phone, pair, "after")));
  expect(await namesOf(phone, pair)).toEqual([...names, "after", "after", "after"]);
});

test("a node that has not heard of the promotion leaves nothing for the old leader, and sends it nothing", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await (await pair.follow()).settle();
  await using second = await secondNode(pair);
  const follower = second.service.following.find(pair.libraryId);
  await follower?.settle();
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  expect((await insert(second, pair, "a", "?queue=1")).status).toBe(503);
  expect((await insert(second, pair, "b")).status).toBe(503);
  expect(await readWaiting((await pair.replica()).database)).toEqual([]);
  expect(leader.library.state.head).toBe(0);
  // Once its follower has seen it, the next write is in order.
  expect(await follower?.settle()).toBe("waiting");
  expect(await follower?.settle()).toBe("promoted");
  await phone.service.stop();
  expect(await insert(second, pair, "c")).toMatchObject({ status: 200, body: { sequence: 1 } });
});

test("who asks again for a promotion that another node began and did not finish has it finished", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  await insert(phone, pair, "waited", "?queue=1");
  const lead = async (until: string) =>
    (await pair.replica()).database.write([
      { sql: "DELETE FROM follower", args: [] },
      {
        sql: `UPDATE library SET leader_device_id = 'gone', lease_expires_at = ${until}`,
        args: [],
      },
    ]);
  const { catalog, following } = phone.service;
  await catalog.database.write([{ sql: "UPDATE follower SET token = NULL", args: [] }]);
  await lead("CAST(unixepoch('subsec') * 1000 AS INTEGER) + 60000");
  await following.look();
  expect(following.find(pair.libraryId)).toBeUndefined();
  await lead("0");
  const { status, body } = await phone.send("POST", `${pair.at}/leader/promote`);
  expect([status, body.is_self]).toEqual([200, true]);
  expect(await namesOf(phone, pair)).toEqual(["waited"]);
});

test("what the leader took is committed again where a copy is promoted that had not pulled it yet", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const outbox = async () => {
    const sql = "SELECT request->>'$.data.name', sequence FROM outbox ORDER BY id";
    const [rows = []] = await (await pair.replica()).database.read([{ sql, args: [] }]);
    return rows.map((row) => [...row]);
  };
  pair.cut(true);
  for (const name of ["a", "b"])
    expect((await insert(phone, pair, name, "?queue=1")).status).toBe(202);
  pair.cut(false);
  await follower.settle();
  expect([await namesOf(phone, pair), await outbox()]).toEqual([["a", "b"], []]);
  pair.cut(true);
  for (const name of ["c", "d"])
    expect((await insert(phone, pair, name, "?queue=1")).status).toBe(202);
  pair.cut(false);
  expect(await follower.outbox.drain()).toBe(2);
  expect(leader.library.state.head).toBe(4);
  expect(await follower.outbox.list()).toMatchObject({ waitingCount: 0, rejectedCount: 0 });
  // The leader is gone for good, with what the copy was told it has.
  pair.cut(true);
  expect((await insert(phone, pair, "e", "?queue=1")).status).toBe(202);
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  expect([await namesOf(phone, pair), await outbox()]).toEqual([["a", "b", "c", "d", "e"], []]);
});

test("what a leader took that died with it goes to the other history that a person accepts in its place", async () => {
  await using pair = await createPair();
  await using other = await createWorld({ deviceId: "other" });
  await other.service.catalog.create({ id: pair.libraryId, name: "home" });
  const follower = await pair.follow();
  await follower.settle();
  pair.cut(true);
  expect((await insert(pair.phone, pair, "taken", "?queue=1")).status).toBe(202);
  pair.cut(false);
  expect(await follower.outbox.drain()).toBe(1);
  pair.wire.send = (url, init) => other.app.request(url, init);
  expect(await follower.settle()).toBe("foreign");
  follower.resume({ acceptHistory: true });
  expect(await follower.settle()).toBe("live");
  for (const world of [other, pair.phone]) expect(await namesOf(world, pair)).toEqual(["taken"]);
});

/** Something that stops at a place until it is let go. */
function createStop() {
  const [reached, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  return {
    reached: reached.promise,
    letGo: () => gone.resolve(),
    pass: async (): Promise<void> => {
      reached.resolve();
      await gone.promise;
    },
  };
}

test("a write that found a copy and meets a library that leads is committed behind what waited", async () => {
  const stops = [
    { at: "DELETE FROM follower", ...createStop() },
    { at: "SELECT library_id, leader_url", ...createStop() },
    { at: "DELETE FROM outbox WHERE mutation_id", ...createStop() },
  ];
  const [leaving, looking, settling] = stops;
  let isOn = false;
  const stopAt = async (statements: readonly object[]): Promise<void> => {
    const text = isOn ? JSON.stringify(statements) : "";
    for (const { at, pass } of stops) if (text.includes(at)) await pass();
  };
  await using pair = await createPair({
    followerDecorate: (_name, database) => ({
      ...database,
      read: async (statements) => {
        await stopAt(statements);
        return database.read(statements);
      },
      write: async (statements) => {
        await stopAt(statements);
        return database.write(statements);
      },
    }),
  });
  const { phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  const names = Array.from({ length: 120 }, (_, at) => `waited ${at}`);
  for (const name of names) await insert(phone, pair, name, "?queue=1");
  isOn = true;
  const promotion = phone.send("POST", `${pair.at}/leader/promote`);
  await leaving?.reached;
  // It is a copy that nobody follows any more.
  const write = insert(phone, pair, "direct");
  await looking?.reached;
  leaving?.letGo();
  // The first hundred are committed.
  await settling?.reached;
  looking?.letGo();
  for (let turn = 0; turn < 5; turn += 1) await phone.send("GET", pair.at);
  settling?.letGo();
  expect((await promotion).status).toBe(200);
  expect((await write).status).toBe(200);
  expect(await namesOf(phone, pair)).toEqual([...names, "direct"]);
});

test("what is half-way promoted may follow again, with what waits there", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  await insert(phone, pair, "waited", "?queue=1");
  // As a node leaves it that ended in the middle of a promotion.
  await phone.service.catalog.database.write([
    { sql: "UPDATE follower SET token = NULL", args: [] },
  ]);
  await (await pair.replica()).database.write([{ sql: "DELETE FROM follower", args: [] }]);
  pair.cut(false);
  const { token } = leader;
  const request = { library_id: pair.libraryId, url: "http://leader", token };
  expect((await phone.send("POST", "/v1/following", request)).status).toBe(201);
  expect(await phone.service.following.find(pair.libraryId)?.settle()).toBe("live");
  expect((await insert(phone, pair, "direct")).status).toBe(200);
  expect(await namesOf({ ...phone, service: leader.service }, pair)).toEqual(["waited", "direct"]);
});

test("a node that saw a promotion follows again when another node does", async () => {
  await using pair = await createPair();
  await (await pair.follow()).settle();
  await using second = await secondNode(pair);
  const { following } = second.service;
  expect((await pair.phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  await following.find(pair.libraryId)?.settle();
  expect(await following.find(pair.libraryId)?.settle()).toBe("promoted");
  await (await pair.follow()).settle();
  await following.look();
  await pair.leader.insertAlbum("a");
  expect(await following.find(pair.libraryId)?.settle()).toBe("live");
  expect(await namesOf(second, pair)).toEqual(["a"]);
});

test("of two who ask one node for a promotion at once, both are told that it leads", async () => {
  const [both, first] = [createStop(), createStop()];
  const counts = { begun: 0, left: 0 };
  await using pair = await createPair({
    followerDecorate: (_name, database) => ({
      ...database,
      write: async (statements) => {
        const text = JSON.stringify(statements);
        if (text.includes("SET token = NULL")) counts.begun += 1;
        // Whoever comes second finds that the first has finished.
        if (text.includes('DELETE FROM follower"')) {
          counts.left += 1;
          await (counts.left === 1 ? both : first).pass();
        }
        return database.write(statements);
      },
    }),
  });
  const { phone } = pair;
  await (await pair.follow()).settle();
  const ask = () => phone.send("POST", `${pair.at}/leader/promote`);
  const answers = [ask(), ask()];
  void Promise.race(answers).then(first.letGo);
  while (counts.begun < 2) await Bun.sleep(1);
  for (let turn = 0; turn < 5; turn += 1) await phone.send("GET", pair.at);
  both.letGo();
  for (const { body } of await Promise.all(answers))
    expect(body).toMatchObject({ is_self: true, epoch: 2 });
});

test("a write that comes in the middle of a promotion is told to come again, not to go to the old leader", async () => {
  const leaving = createStop();
  await using pair = await createPair({
    followerDecorate: (_name, database) => ({
      ...database,
      write: async (statements) => {
        if (JSON.stringify(statements).includes('DELETE FROM follower"')) await leaving.pass();
        return database.write(statements);
      },
    }),
  });
  const { phone } = pair;
  await (await pair.follow()).settle();
  const promotion = phone.send("POST", `${pair.at}/leader/promote`);
  await leaving.reached;
  const { status, headers, body } = await insert(phone, pair, "too early");
  expect([status, body.code, headers.get("retry-after")]).toEqual([503, "overloaded", "1"]);
  leaving.letGo();
  expect((await promotion).status).toBe(200);
  expect((await insert(phone, pair, "again")).status).toBe(200);
  expect(await namesOf(phone, pair)).toEqual(["again"]);
});

test("what was refused before a promotion, or by it, can be seen and forgotten by whoever leads then", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const change = { resource_type: "album", operation: "insert", id: createId() };
  const add = (name: string) =>
    phone.send("POST", `${pair.at}/commit?queue=1`, { ...change, data: { name } });
  pair.cut(true);
  for (const name of ["a", "refused by the leader"]) expect((await add(name)).status).toBe(202);
  pair.cut(false);
  await follower.settle();
  pair.cut(true);
  expect((await add("refused here")).status).toBe(202);
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  await using second = await secondNode(pair);
  const codes = async (node: World) => {
    const { body } = await node.send("GET", `${pair.at}/follower`);
    expect(body).toMatchObject({ state: "promoted", head: 1, lag: 0, waiting: [] });
    return body.rejected.map(({ problem }: { problem: { code: string } }) => problem.code);
  };
  const forget = async (node: World) => {
    const { body } = await node.send("GET", `${pair.at}/follower`);
    const path = `${pair.at}/follower/rejected/${body.rejected[0].mutation_id}`;
    expect((await node.send("DELETE", path)).status).toBe(204);
    expect((await node.send("DELETE", path)).status).toBe(404);
  };
  expect(await codes(phone)).toEqual(["already_exists", "already_exists"]);
  await forget(phone);
  expect(await codes(second)).toEqual(["already_exists"]);
  await forget(second);
  for (const node of [phone, second])
    expect((await node.send("GET", `${pair.at}/follower`)).status).toBe(404);
});

test("I1, F6: a node that mends a copy from its leader takes nothing from it once another has promoted it", async () => {
  await using pair = await createPair();
  const { leader, phone, wire } = pair;
  await leader.insertAlbum("a");
  await (await pair.follow()).settle();
  const { database } = await pair.replica();
  await database.write([
    { sql: "UPDATE checksums SET sum = sum + 1 WHERE resource_type = 'album'", args: [] },
  ]);
  await using second = await secondNode(pair);
  const follower = second.service.following.find(pair.libraryId);
  const asking = createStop();
  const { send } = wire;
  wire.send = async (url, init) => {
    if (url.includes("/snapshot")) await asking.pass();
    return send(url, init);
  };
  // A difference is believed when it is seen twice.
  const mending = follower?.settle().then(() => follower.settle());
  await asking.reached;
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  expect((await insert(phone, pair, "own")).status).toBe(200);
  asking.letGo();
  expect(await mending).toBe("waiting");
  const { body } = await phone.send("GET", `${pair.at}/resources/album`);
  expect(body.resources.map(({ name }: { name: string }) => name)).toEqual(["a", "own"]);
  expect(await follower?.settle()).toBe("promoted");
});

test("I1: a copy whose first snapshot is not complete is not promoted, and goes on until it is", async () => {
  await using pair = await createPair();
  const { leader, phone, wire } = pair;
  for (let left = 2; left > 0; left -= 1) {
    const album = { resource_type: "album", operation: "insert", data: { name: "a" } };
    const changes = Array.from({ length: 300 }, () => ({ ...album, id: createId() }));
    expect((await leader.send("POST", `${pair.at}/batch`, { changes })).status).toBe(200);
  }
  const { send } = wire;
  wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.includes("/snapshot")) return answer;
    const text = await answer.text();
    return new Response(text.slice(0, -text.length / 10));
  };
  const follower = await pair.follow();
  const promote = () => phone.send("POST", `${pair.at}/leader/promote`);
  const refused = { status: 503, body: { code: "overloaded" } };
  expect(await promote()).toMatchObject(refused);
  expect(await follower.settle()).toBe("waiting");
  expect(await promote()).toMatchObject(refused);
  wire.send = send;
  expect(await follower.settle()).toBe("live");
  const { epoch, head } = leader.library.state;
  expect(await promote()).toMatchObject({ status: 200, body: { epoch: epoch + 1 } });
  const { body } = await insert(phone, pair, "next");
  expect(body.sequence).toBe(head + 1);
});
