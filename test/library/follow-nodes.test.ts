/** Nodes that share a catalog follow alike: whichever of them began it, each takes any request. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { SyncError } from "../../src/protocol/errors.ts";
import { createPair, setupRequest } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World, WorldOptions } from "../support/world.ts";

/** Another node over the phone's databases. */
const secondNode = (pair: Pair, more: Partial<WorldOptions> = {}): Promise<World> =>
  createWorld({
    ...more,
    deviceId: "second",
    directory: pair.phone.directory,
    fetch: async (url, init) => pair.wire.send(url, init),
  });

const insert = (world: World, at: string, name: string) =>
  world.send("POST", `${at}/commit`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name },
  });
const names = async (world: World, at: string): Promise<string[]> => {
  const { body } = await world.send("GET", `${at}/resources/album?limit=1000`);
  return body.resources.map((one: { name: string }) => one.name).toSorted();
};

test("a library that went into another's: each node passes writes on at once, under the old id and the new", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  await using second = await secondNode(pair);
  await using third = await secondNode(pair);
  // One has the library open as it was, the other has never heard of it.
  expect((await second.send("GET", phone.at)).status).toBe(200);
  await phone.send("POST", "/v1/sync-setup", setupRequest(pair, "MergeIntoRemote", "node"));
  await phone.service.setup.settled();
  for (const [world, at, name] of [
    [second, phone.at, "b"],
    [second, pair.at, "c"],
    [third, phone.at, "d"],
  ] as const) {
    expect(await insert(world, at, name)).toMatchObject({ status: 200 });
  }
  const lines = `{"id":"${createId()}","name":"e"}`;
  const bulk = await third.app.request(`${pair.at}/bulk?resource_type=album`, {
    method: "POST",
    headers: { authorization: `Bearer ${third.token}`, "content-type": "application/x-ndjson" },
    body: lines,
  });
  expect(bulk.status).toBe(200);
  expect(await names(leader, pair.at)).toEqual(["a", "b", "c", "d", "e"]);
});

test("when the node that began to follow is gone, another goes on, as the device that was let in", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const grants = [{ library: pair.libraryId, role: "writer" as const }];
  const device = { id: "phone", name: "phone" };
  expect((await leader.send("POST", `${pair.at}/devices`, device)).status).toBe(201);
  const { mint } = leader.service;
  const token = await mint?.({ subject: "phone", grants, ttlSeconds: 600 });
  await phone.send("POST", "/v1/following", {
    library_id: pair.libraryId,
    url: "http://leader",
    token,
  });
  await phone.service.stop();
  await leader.insertAlbum("a");
  await using second = await secondNode(pair);
  const follower = second.service.following.find(pair.libraryId);
  expect(await follower?.settle()).toBe("live");
  expect(await names(second, pair.at)).toEqual(["a"]);
  expect(await insert(second, pair.at, "b")).toMatchObject({ status: 200 });
  const { body } = await leader.send("GET", `${pair.at}/positions`);
  expect(body.positions.map((one: { device_id: string }) => one.device_id)).toEqual(["phone"]);
});

test("two nodes that follow into one database apply every entry once, and each knows how far it is", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await (await pair.follow()).settle();
  await using second = await secondNode(pair);
  const followers = [phone, second].map(({ service }) => service.following.find(pair.libraryId));
  for (let round = 0; round < 5; round += 1) {
    for (const name of ["a", "b", "c"]) await leader.insertAlbum(`${name}${round}`);
    expect(await Promise.all(followers.map((one) => one?.settle()))).toEqual(["live", "live"]);
  }
  for (const world of [phone, second]) {
    const { state, database } = await world.service.catalog.open(pair.libraryId);
    expect(state.head).toBe(15);
    // The log of a replica begins behind its snapshot.
    const sql = "SELECT max(sequence) - min(sequence) + 1 - count(*), max(sequence) FROM sync_log";
    expect(Array.from((await database.read([{ sql, args: [] }]))[0]?.[0] ?? [])).toEqual([0, 15]);
    expect((await names(world, pair.at)).length).toBe(15);
  }
});

test("a replica that one node promotes is led by whichever is asked; the others follow it no longer", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  await pair.follow();
  await using second = await secondNode(pair);
  const { following } = second.service;
  await following.find(pair.libraryId)?.settle();
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  await following.look();
  expect(following.find(pair.libraryId)).toBeUndefined();
  await phone.service.stop();
  expect(await insert(second, pair.at, "b")).toMatchObject({ status: 200 });
  expect(await names(second, pair.at)).toEqual(["a", "b"]);
  expect(await names(leader, pair.at)).toEqual(["a"]);
});

test("a node whose database was away while another promoted the copy finds what has become of it", async () => {
  await using pair = await createPair();
  await (await pair.follow()).settle();
  let isAway = true;
  await using second = await secondNode(pair, {
    decorate: (_, database) => ({
      ...database,
      write: async (statements) => {
        const isLeaving = JSON.stringify(statements).includes('DELETE FROM follower"');
        if (isAway && isLeaving)
          throw new SyncError("database_unavailable", { retryAfterSeconds: 1 });
        return database.write(statements);
      },
    }),
  });
  const promote = (world: World) => world.send("POST", `${pair.at}/leader/promote`);
  expect((await promote(second)).status).toBe(503);
  expect((await promote(pair.phone)).status).toBe(200);
  isAway = false;
  await pair.phone.service.stop();
  expect(await insert(second, pair.at, "b")).toMatchObject({ status: 200, body: { sequence: 1 } });
});

test("of two nodes that are asked for a promotion at once, the slower finds that it is done", async () => {
  await using pair = await createPair();
  await (await pair.follow()).settle();
  const [leaving, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using second = await secondNode(pair, {
    decorate: (_, database) => ({
      ...database,
      write: async (statements) => {
        if (JSON.stringify(statements).includes('DELETE FROM follower"')) {
          leaving.resolve();
          await held.promise;
        }
        return database.write(statements);
      },
    }),
  });
  const promote = (world: World) => world.send("POST", `${pair.at}/leader/promote`);
  const slower = promote(second);
  await leaving.promise;
  expect((await promote(pair.phone)).status).toBe(200);
  held.resolve();
  expect(await slower).toMatchObject({ status: 200, body: { leader_device_id: "phone" } });
});
