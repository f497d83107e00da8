/**
 * A merge among several nodes and a network that loses answers: who may still call it off, and who
 * goes on with it. Two nodes of one service share the phone's folder; the leader is the other service.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { readFrames } from "../support/events.ts";
import { createPair, setupRequest, tokensKept } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import { createWorld, tokenFor } from "../support/world.ts";
import type { World } from "../support/world.ts";

const names = async (world: World, at: string): Promise<string[]> => {
  const { body } = await world.send("GET", `${at}/resources/album?limit=1000`);
  return body.resources.map((one: { name: string }) => one.name).toSorted();
};

async function begin(pair: Pair, type: string, leader: "phone" | "node"): Promise<string> {
  const { body } = await pair.phone.send(
    "POST",
    "/v1/sync-setup",
    setupRequest(pair, type, leader),
  );
  return `/v1/jobs/${body.job_id}`;
}

/** Another node over the phone's databases. */
const secondNode = (pair: Pair): Promise<World> =>
  createWorld({
    deviceId: "second",
    directory: pair.phone.directory,
    fetch: async (url, init) => pair.wire.send(url, init),
  });

/** Holds back what `pattern` names, until it is let go; `reached` tells that the first has come. */
function holdBack(pair: Pair, pattern: RegExp, when: "before" | "after") {
  const { send } = pair.wire;
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  pair.wire.send = async (url, init) => {
    if (!pattern.test(url)) return send(url, init);
    const answer = when === "after" ? await send(url, init) : null;
    reached.resolve();
    await opened.promise;
    return answer ?? send(url, init);
  };
  return { reached: reached.promise, open: () => opened.resolve() };
}

test("a cancel asked of another node while a library is handed over is too late, and says so", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const gate = holdBack(pair, /hand-over$/, "after");
  const job = await begin(pair, "MergeIntoLocal", "phone");
  await gate.reached;
  await using second = await secondNode(pair);
  expect((await second.send("DELETE", job)).body).toMatchObject({ status: "running" });
  gate.open();
  await phone.service.setup.settled();
  expect((await second.send("GET", job)).body).toMatchObject({ status: "complete", progress: 1 });
  expect(await tokensKept(phone)).toBe(0);
});

test("when the answer to a hand-over is lost, a cancel is not told that it came in time", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const { send } = pair.wire;
  const lost = Promise.withResolvers<void>();
  let isLosing = true;
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.endsWith("/hand-over") || !isLosing) return answer;
    lost.resolve();
    throw new TypeError("The network is down.");
  };
  const job = await begin(pair, "MergeIntoLocal", "phone");
  await lost.promise;
  const [one, two] = await Promise.all([phone.send("DELETE", job), phone.send("DELETE", job)]);
  for (const { body } of [one, two]) {
    expect(body.status).toBe("running");
    expect(body.message).toContain("too late to cancel");
  }
  isLosing = false;
  await phone.service.setup.settled();
  expect((await phone.send("GET", job)).body.status).toBe("complete");
  expect(await names(phone, phone.at)).toEqual(["a"]);
});

test("a cancel that waits for a hand-over which is refused is in time", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const gate = holdBack(pair, /hand-over$/, "before");
  const job = await begin(pair, "MergeIntoLocal", "phone");
  await gate.reached;
  await leader.insertAlbum("late");
  const cancelled = phone.send("DELETE", job);
  gate.open();
  expect((await cancelled).body).toMatchObject({ status: "failed", message: "Cancelled." });
  expect((await leader.insertAlbum("b")).status).toBe(200);
  expect(await tokensKept(phone)).toBe(0);
});

test("of two libraries that become a new one, both end or none: between them it is too late", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  await leader.insertAlbum("b");
  const gate = holdBack(pair, new RegExp(`${pair.libraryId}/snapshot`), "before");
  const job = await begin(pair, "CreateShared", "phone");
  await gate.reached;
  await using second = await secondNode(pair);
  expect((await second.send("DELETE", job)).body.status).toBe("running");
  const cancelled = phone.send("DELETE", job);
  gate.open();
  expect((await cancelled).body.status).toBe("complete");
  expect(await names(phone, phone.at)).toEqual(["a", "b"]);
});

test("a merge whose node let its lease go takes it again when nobody else has it", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const gate = holdBack(pair, /snapshot/, "before");
  const job = await begin(pair, "MergeIntoLocal", "phone");
  await gate.reached;
  await phone.library.leadership.release();
  gate.open();
  await phone.service.setup.settled();
  expect((await phone.send("GET", job)).body).toMatchObject({ status: "complete", progress: 1 });
});

test("a node learns that another merged a library: old ids, tokens and streams reach the shared one", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  await leader.insertAlbum("b");
  const { id } = phone.library.state;
  await using second = await secondNode(pair);
  await using third = await secondNode(pair);
  // One has it open and a listener, the other has never heard of it.
  const token = await tokenFor([{ library: id, role: "reader" }]);
  const headers = { authorization: `Bearer ${token}` };
  const listening = await second.app.request(`${phone.at}/events?encoding=json`, { headers });
  await begin(pair, "CreateShared", "phone");
  await phone.service.setup.settled();
  const ends: (string | null)[] = [];
  for await (const { event } of readFrames(listening)) ends.push(event);
  expect(ends.at(-1)).toBe("goodbye");
  const { id: shared } = (await phone.send("GET", phone.at)).body;
  expect(shared).not.toBe(id);
  for (const node of [second, third]) {
    const read = await node.app.request(`${phone.at}/log`, { headers });
    const { entries } = (await read.json()) as { entries?: unknown[] };
    expect([read.status, entries?.length]).toEqual([200, 2]);
    expect((await node.send("GET", phone.at)).body.id).toBe(shared);
    expect(await names(node, phone.at)).toEqual(["a", "b"]);
  }
  expect((await third.send("GET", `/v1/libraries/${createId()}`)).status).toBe(404);
});

for (const [type, chief, pattern] of [
  ["MergeIntoLocal", "phone", /snapshot/],
  ["MergeIntoRemote", "node", /merge$/],
] as const) {
  test(`${type}: a merge goes on at the node that leads the local library now`, async () => {
    await using pair = await createPair();
    const { leader, phone } = pair;
    await leader.insertAlbum("a");
    await phone.insertAlbum("b");
    const { id } = phone.library.state;
    const gate = holdBack(pair, pattern, "before");
    const job = await begin(pair, type, chief);
    await gate.reached;
    await using second = await secondNode(pair);
    await phone.library.leadership.release();
    expect(await (await second.service.catalog.open(id)).leadership.lead(true)).toBeNull();
    gate.open();
    // What the second node does by itself every few seconds.
    await second.service.setup.resume();
    await phone.service.setup.settled();
    await second.service.setup.settled();
    expect((await second.send("GET", job)).body).toMatchObject({ status: "complete", progress: 1 });
    expect(await tokensKept(phone)).toBe(0);
    const shared = chief === "phone" ? id : pair.libraryId;
    for (const world of [second, leader]) {
      await world.service.following.find(shared)?.settle();
      expect(await names(world, `/v1/libraries/${shared}`)).toEqual(["a", "b"]);
    }
  });
}
