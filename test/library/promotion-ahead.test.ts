/**
 * A copy is promoted while its rows are newer than its log: a snapshot has brought some of them, and the
 * log of the leader, which would explain them, does not come any more.
 */
import { expect, test } from "bun:test";
import { clientRules } from "../../plugins/rules/index.ts";
import { createId } from "../../src/base/id.ts";
import type { Library } from "../../src/library/library.ts";
import { createClient } from "../../src/client/index.ts";
import { examineLibrary } from "../../src/tools/doctor.ts";
import { briskClock, until } from "../support/client-world.ts";
import { createPair, logOf, recordsOf } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

const COUNT = 600;
const ids = Array.from({ length: COUNT }, () => createId()).toSorted();

/** Writes all albums of the leader, in two batches: as new, or anew. */
async function write({ leader, at }: Pair, operation: "insert" | "update", name: string) {
  for (const part of [ids.slice(0, COUNT / 2), ids.slice(COUNT / 2)]) {
    const changes = part.map((id) => ({ resource_type: "album", operation, id, data: { name } }));
    expect((await leader.send("POST", `${at}/batch`, { changes })).status).toBe(200);
  }
}

/** From now on the leader says nothing but a part of a snapshot; nothing of its log in any case. */
function breakOff({ wire }: Pair, part = 1): void {
  const { send } = wire;
  wire.send = async (url, init) => {
    if (url.includes("/log")) throw new TypeError("The leader is gone.");
    const answer = await send(url, init);
    if (!url.includes("/snapshot") || part === 1) return answer;
    const text = await answer.text();
    return new Response(text.slice(0, text.length * part));
  };
}

const insert = (world: World, { at }: Pair) =>
  world.send("POST", `${at}/commit`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name: "next" },
  });

const namesIn = async (library: Library) =>
  new Set((await recordsOf(library))["albums"]?.map((row) => (row as unknown[])[2]));

/** Promotes the copy. Readers of the history it had are told to read afresh, and it is a sound library. */
async function expectAnew(pair: Pair, phone: World = pair.phone): Promise<void> {
  const { at, libraryId } = pair;
  const { catalog, registry } = phone.service;
  const { historyId, head } = (await catalog.open(libraryId)).state;
  expect((await phone.send("POST", `${at}/leader/promote`)).status).toBe(200);
  const { state, database } = await catalog.open(libraryId);
  const findings = async () => (await examineLibrary(database.read, registry)).findings;
  expect(await findings()).toEqual([]);
  expect(state.historyId).not.toBe(historyId);
  expect([state.head, state.oldestSequence]).toEqual([head, head + 1]);
  const told = await phone.send("GET", `${at}/log?after=${head}&history_id=${historyId}`);
  expect([told.status, told.body.code]).toEqual([410, "history_changed"]);
  const next = await insert(phone, pair);
  expect([next.status, next.body.sequence]).toEqual([200, head + 1]);
  expect(await findings()).toEqual([]);
}

/** A copy has all that the log says, and some records that are newer. */
async function repairInTheMiddle(pair: Pair): Promise<void> {
  await write(pair, "update", "known");
  // Begun anew it compares at once; a difference is believed when it is seen twice.
  const follower = await pair.follow();
  await follower.settle();
  const replica = await pair.replica();
  expect((await logOf(replica)).length).toBe(COUNT);
  const spoil = "UPDATE checksums SET sum = sum + 1 WHERE resource_type = 'album'";
  await replica.database.write([{ sql: spoil, args: [] }]);
  const again = await pair.follow();
  await again.settle();
  const { wire } = pair;
  const { send } = wire;
  wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.includes("/checksum")) return answer;
    wire.send = send;
    await write(pair, "update", "newer");
    breakOff(pair, 0.9);
    return answer;
  };
  expect(await again.settle()).toBe("waiting");
  expect(await namesIn(replica)).toEqual(new Set(["known", "newer"]));
}

test("I1, I2: a copy that is promoted in the middle of a repair begins a history of its own", async () => {
  await using pair = await createPair();
  await write(pair, "insert", "old");
  await (await pair.follow()).settle();
  await repairInTheMiddle(pair);
  await expectAnew(pair);
});

test("I7: a client of a copy that is promoted so shows what the copy has", async () => {
  await using pair = await createPair();
  const { phone, libraryId } = pair;
  const open = () =>
    createClient({
      url: "http://phone",
      library: libraryId,
      token: phone.token,
      rules: clientRules,
      fetch: async (url, init) => phone.app.fetch(new Request(url, init)),
      clock: briskClock,
    });
  await write(pair, "insert", "old");
  await (await pair.follow()).settle();
  const client = open();
  const records = ids.map((id) => client.record("album", id));
  for (const record of records) await until(record, ({ data }) => data?.["name"] === "old");
  await repairInTheMiddle(pair);
  await expectAnew(pair);
  const albums = (await recordsOf(await pair.replica()))["albums"] as unknown[][];
  const names = new Map(albums.map(([id, , name]) => [id, name]));
  for (const [at, record] of records.entries())
    await until(record, ({ data }) => data?.["name"] === names.get(ids[at]));
  await client.close();
});

test("I1, I2: so does one that is promoted in the middle of a later whole snapshot", async () => {
  await using pair = await createPair();
  await write(pair, "insert", "old");
  const follower = await pair.follow();
  await follower.settle();
  await write(pair, "update", "newer");
  const { database } = pair.leader.library;
  await database.write([
    { sql: "UPDATE library SET oldest_sequence = head", args: [] },
    { sql: "DELETE FROM sync_log WHERE sequence < (SELECT head FROM library)", args: [] },
  ]);
  await pair.leader.service.catalog.release(pair.libraryId);
  const { send } = pair.wire;
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.includes("/snapshot")) return answer;
    const text = await answer.text();
    return new Response(text.slice(0, text.length * 0.9));
  };
  expect(await follower.settle()).toBe("waiting");
  expect(await namesIn(await pair.replica())).toEqual(new Set(["old", "newer"]));
  pair.cut(true);
  await expectAnew(pair);
});

/** Writes at the leader while a copy reads its first snapshot from there. */
async function followInTheMiddle(pair: Pair): Promise<void> {
  const { wire } = pair;
  await write(pair, "insert", "old");
  const { send } = wire;
  wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.includes("/snapshot")) return answer;
    wire.send = send;
    // The first records are on their way; the last are not read yet.
    await write(pair, "update", "newer");
    breakOff(pair);
    return answer;
  };
  expect(await (await pair.follow()).settle()).toBe("waiting");
  expect(await namesIn(await pair.replica())).toEqual(new Set(["old", "newer"]));
}

test("I7: so does one whose snapshot is complete while the log has not come to its newest records", async () => {
  await using pair = await createPair();
  await followInTheMiddle(pair);
  await expectAnew(pair);
});

test("I7: so does a copy of such a copy, which has all that the copy's log has", async () => {
  await using pair = await createPair();
  await followInTheMiddle(pair);
  const { phone, libraryId } = pair;
  await using tablet = await createWorld({
    deviceId: "tablet",
    fetch: async (url, init) => phone.app.request(url, init),
  });
  const request = { libraryId, leaderUrl: "http://phone", token: phone.token };
  expect(await (await tablet.service.following.follow(request)).settle()).toBe("live");
  await expectAnew(pair, tablet);
});

test("a copy that the log explains keeps its history when it is promoted", async () => {
  await using pair = await createPair();
  await followInTheMiddle(pair);
  pair.wire.send = (url, init) => pair.leader.app.request(url, init);
  const follower = pair.phone.service.following.find(pair.libraryId);
  expect(await follower?.settle()).toBe("live");
  expect((await pair.phone.send("POST", `${pair.at}/leader/promote`)).status).toBe(200);
  const { historyId, head } = (await pair.replica()).state;
  expect({ historyId, head }).toMatchObject({
    historyId: pair.leader.library.state.historyId,
    head: 2 * COUNT,
  });
});
