/** Merges that would make a service follow in place of a library of its own: refused, nothing is lost. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createPair, setupRequest } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

const names = async (world: World, at: string): Promise<string[]> => {
  const { body } = await world.send("GET", `${at}/resources/album?limit=1000`);
  return body.resources.map((one: { name: string }) => one.name).toSorted();
};

/** Two libraries of one service, which its nodes reach over the network too. */
async function createAlone() {
  const door: { app: World["app"] | null } = { app: null };
  const fetch = async (url: string, init?: RequestInit): Promise<Response> =>
    door.app?.request(url, init) ?? Promise.reject(new TypeError("The network is down."));
  const world = await createWorld({ fetch });
  door.app = world.app;
  const { state } = await world.service.catalog.create({ name: "other" });
  await world.insertAlbum("a");
  return { ...world, fetch, otherId: state.id };
}

const join = (world: World, remoteId: string, leader: string) => ({
  local_library_id: world.library.state.id,
  remote_library_id: remoteId,
  remote_url: "http://self",
  remote_token: world.token,
  action: { type: "MergeIntoLocal" },
  leader_device_id: leader,
});

test("I10: a service is not joined with itself", async () => {
  await using world = await createAlone();
  const body = join(world, world.otherId, "node");
  const { status, body: problem } = await world.send("POST", "/v1/sync-setup", body);
  expect([status, problem.issues[0].path]).toEqual([400, "remote_url"]);
});

test("a service is not joined with itself by way of another of its nodes: both libraries stay", async () => {
  await using world = await createAlone();
  const { directory, fetch } = world;
  await using second = await createWorld({ directory, fetch, deviceId: "second" });
  await second.insertAlbum("b");
  const body = join(second, world.library.state.id, "second");
  const begun = await second.send("POST", "/v1/sync-setup", body);
  await second.service.setup.settled();
  const job = await second.send("GET", `/v1/jobs/${begun.body.job_id}`);
  expect(job.body.status).toBe("failed");
  expect(job.body.message).toContain("of its own");
  for (const node of [world, second]) expect((await node.insertAlbum("c")).status).toBe(200);
});

test("I10: a library does not follow itself, by whichever of its nodes: it stays writable", async () => {
  await using world = await createAlone();
  const { directory, fetch, token } = world;
  await using second = await createWorld({ directory, fetch, deviceId: "second" });
  const library_id = world.library.state.id;
  for (const node of [world, second]) {
    const body = { library_id, url: "http://self", token };
    const { status, body: problem } = await node.send("POST", "/v1/following", body);
    expect([status, problem.issues?.[0]?.path]).toEqual([400, "url"]);
  }
  expect((await world.insertAlbum("b")).status).toBe(200);
});

test("I10: a replica is not turned to itself, by whichever of its nodes: it goes on with its leader", async () => {
  await using pair = await createPair();
  const { leader, phone, wire, libraryId: library_id } = pair;
  const follower = await pair.follow();
  expect(await follower.settle()).toBe("live");
  wire.send = async (url, init) =>
    (url.startsWith("http://phone") ? phone : leader).app.request(url, init);
  for (const url of ["http://phone", "http://leader,http://phone"]) {
    const body = { library_id, url, token: phone.token };
    const refused = await phone.send("POST", "/v1/following", body);
    expect([refused.status, refused.body.issues?.[0]?.path]).toEqual([400, "url"]);
  }
  await leader.insertAlbum("a");
  expect(await follower.settle()).toBe("live");
  expect(follower.status.head).toBe(1);
  // Another address of the leader is one to go to, and so is one where nobody answers now.
  wire.send = async (url, init) =>
    url.startsWith("http://down") ? Response.error() : leader.app.request(url, init);
  for (const url of ["http://leader-2", "http://down"]) {
    const body = { library_id, url, token: leader.token };
    expect((await phone.send("POST", "/v1/following", body)).status).toBe(201);
  }
});

test("a promoted copy that stands beside a merge is not overwritten by what it was a copy of", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const follower = await pair.follow();
  await follower.settle();
  expect((await phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  const write = { resource_type: "album", operation: "insert", id: phone.library.state.id };
  expect(
    (await phone.send("POST", `${pair.at}/commit`, { ...write, data: { name: "only here" } }))
      .status,
  ).toBe(200);
  const request = setupRequest(pair, "MergeIntoRemote", "node");
  const { body } = await phone.send("POST", "/v1/sync-setup", request);
  await phone.service.setup.settled();
  expect((await phone.send("GET", `/v1/jobs/${body.job_id}`)).body.status).toBe("failed");
  expect(await names(phone, pair.at)).toEqual(["a", "only here"]);
  expect((await phone.insertAlbum("b")).status).toBe(200);
});

test("I10: an address with a password, a query or a fragment is refused, and not repeated", async () => {
  await using world = await createAlone();
  for (const remote_url of [
    "http://me:secret@self",
    "http://self/?secret",
    "http://self/#secret",
  ]) {
    const body = { ...join(world, world.otherId, "node"), remote_url };
    const { status, body: problem } = await world.send("POST", "/v1/sync-setup", body);
    expect([status, problem.issues?.[0]?.path]).toEqual([400, "remote_url"]);
    expect(JSON.stringify(problem)).not.toContain("secret");
  }
});

/** A library of its own that begins to follow; `meanwhile` is done between the look at it and the change. */
async function createTurning() {
  const turn: { meanwhile: (() => Promise<unknown>) | null } = { meanwhile: null };
  const pair = await createPair({
    followerDecorate: (_name, database) => ({
      ...database,
      write: async (statements) => {
        const run = /INSERT OR REPLACE INTO follower/.test(JSON.stringify(statements))
          ? turn.meanwhile
          : null;
        if (run !== null) turn.meanwhile = null;
        await run?.();
        return database.write(statements);
      },
    }),
  });
  const { leader, phone, libraryId: library_id } = pair;
  await leader.insertAlbum("theirs");
  await phone.service.catalog.create({ id: library_id, name: "home" });
  const follow = () =>
    phone.send("POST", "/v1/following", { library_id, url: "http://leader", token: leader.token });
  return { ...pair, turn, follow };
}

test("I10: a commit that comes while a library of its own begins to follow is not lost", async () => {
  await using pair = await createTurning();
  const { phone, turn, follow, at } = pair;
  const write = { resource_type: "album", operation: "insert", data: { name: "ours" } };
  turn.meanwhile = () => phone.send("POST", `${at}/commit`, { ...write, id: createId() });
  expect(await follow()).toMatchObject({ status: 409, body: { code: "already_exists" } });
  expect(phone.service.following.find(pair.libraryId)).toBeUndefined();
  expect(await names(phone, at)).toEqual(["ours"]);
  const again = await phone.send("POST", `${at}/commit`, { ...write, id: createId() });
  expect([again.status, again.body.sequence]).toEqual([200, 2]);
});

test("a library of its own that is read while it begins to follow is a copy from then on", async () => {
  await using pair = await createTurning();
  const { phone, turn, follow, at } = pair;
  turn.meanwhile = () => names(phone, at);
  expect((await follow()).status).toBe(201);
  expect((await pair.replica()).state.isReplica).toBe(true);
  expect(await phone.service.following.find(pair.libraryId)?.settle()).toBe("live");
  expect(await names(phone, at)).toEqual(["theirs"]);
});
