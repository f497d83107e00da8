import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createPair, logOf, recordsOf } from "../support/pair.ts";
import type { World } from "../support/world.ts";
import { readUntil } from "../support/events.ts";

const album = (operation: string, id: string, data?: object) => ({
  resource_type: "album",
  operation,
  id,
  ...(data === undefined ? {} : { data }),
});

test("I7, BACK-15: a follower takes a snapshot, then the log, and has what the leader has", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  const kept = createId();
  const gone = createId();
  await leader.insertAlbum("kept", kept);
  await leader.insertAlbum("gone", gone);
  await leader.send("POST", `${pair.at}/commit`, album("delete", gone));
  const follower = await pair.follow();
  expect(await follower.settle()).toBe("live");
  const replica = await pair.replica();
  expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
  expect(replica.state).toMatchObject({ head: 3, oldestSequence: 4, leaderDeviceId: "node" });

  await leader.send("POST", `${pair.at}/batch`, {
    changes: [
      album("update", kept, { name: "renamed" }),
      album("insert", createId(), { name: "new" }),
      { resource_type: "tag", operation: "insert", id: createId(), data: { name: "t" } },
    ],
    mutation_id: createId(),
  });
  await leader.send("POST", `${pair.at}/commit`, album("delete", kept));
  expect(await follower.settle()).toBe("live");
  expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
  expect(await logOf(replica)).toEqual(await logOf(leader.library, 3));
});

test("SYNC-06: a follower's own listeners get the leader's events, with the leader's sequences", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await pair.leader.insertAlbum("before");
  await follower.settle();
  const { phone } = pair;
  const stream = await phone.app.request(`${pair.at}/events?encoding=json&after=1`, {
    headers: { authorization: `Bearer ${phone.token}` },
  });
  const { body } = await pair.leader.insertAlbum("after");
  await follower.settle();
  const [event] = await readUntil(stream, 2);
  expect(event?.envelope).toMatchObject({
    sequence: 2,
    span: 1,
    epoch: 1,
    transaction_id: body.transaction_id,
  });
  expect(event?.kind.data["resource"]).toEqual(body.resource);
});

test("SYNC-07: the same page again, or a part of it, changes nothing and says nothing", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await follower.settle();
  for (const name of ["a", "b", "c"]) await pair.leader.insertAlbum(name);
  const page = await follower.upstream.log(0, 100, null);
  await follower.settle();
  const replica = await pair.replica();
  const before = [await recordsOf(replica), await logOf(replica)];
  for (const entries of [page.entries, page.entries.slice(1)]) {
    await replica.manager.applyRemote({ entries, epoch: page.epoch });
  }
  expect([await recordsOf(replica), await logOf(replica)]).toEqual(before);
});

test("SYNC-10, DEV: a follower registers itself and acknowledges how far it is", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await pair.leader.insertAlbum("a");
  await follower.settle();
  const { body } = await pair.leader.send("GET", `${pair.at}/positions`);
  expect(body.positions).toMatchObject([{ device_id: "phone", sequence: 1, epoch: 1, lag: 0 }]);
  const { body: devices } = await pair.leader.send("GET", `${pair.at}/devices`);
  expect(devices.devices).toMatchObject([{ id: "phone", name: "follower", revoked_at: null }]);
});

test("GAP-06: past the retention horizon it takes a snapshot, and what went away meanwhile goes", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  const gone = createId();
  await leader.insertAlbum("gone", gone);
  const follower = await pair.follow();
  await follower.settle();
  pair.cut(true);
  expect(await follower.settle()).toBe("waiting");
  expect(follower.status.reason).toContain("cannot be reached");
  await leader.send("POST", `${pair.at}/commit`, album("delete", gone));
  for (const name of ["a", "b"]) await leader.insertAlbum(name);
  const { database, state } = leader.library;
  await database.write([
    { sql: "UPDATE library SET oldest_sequence = 4", args: [] },
    { sql: "DELETE FROM sync_log WHERE sequence < 4", args: [] },
  ]);
  state.oldestSequence = 4;
  pair.cut(false);
  expect(await follower.settle()).toBe("live");
  const replica = await pair.replica();
  expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
  expect(replica.state).toMatchObject({ head: 4, oldestSequence: 5 });
});

/** The leader is restored: its library has another history, with one record. */
async function restore({ library, insertAlbum }: World): Promise<string> {
  const historyId = createId();
  Object.assign(library.state, { historyId });
  await library.database.write([
    { sql: "UPDATE library SET history_id = ?", args: [historyId] },
    { sql: "DELETE FROM albums", args: [] },
    { sql: "DELETE FROM checksums", args: [] },
  ]);
  await insertAlbum("new");
  return historyId;
}

test("who accepts another history while the follower asks for it need not say so again; the next one is not accepted", async () => {
  await using pair = await createPair();
  const { leader, wire } = pair;
  await leader.insertAlbum("old");
  const first = await pair.follow();
  await first.settle();
  for (const isStillAway of [false, true]) {
    const historyId = await restore(leader);
    const follower = await pair.follow();
    const [asked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { send } = wire;
    wire.send = async (url, init) => {
      asked.resolve();
      await held.promise;
      wire.send = send;
      return isStillAway ? new Response("null", { status: 502 }) : send(url, init);
    };
    const settled = follower.settle();
    await asked.promise;
    follower.resume({ acceptHistory: true });
    held.resolve();
    expect(await settled).toBe(isStillAway ? "waiting" : "live");
    expect(await follower.settle()).toBe("live");
    expect((await pair.replica()).state.historyId).toBe(historyId);
    await restore(leader);
    expect(await follower.settle()).toBe("foreign");
    expect(await follower.settle()).toBe("foreign");
  }
});

test("another history halts the follower, until a person takes it over the old one", async () => {
  await using pair = await createPair();
  const { leader } = pair;
  await leader.insertAlbum("old");
  const follower = await pair.follow();
  await follower.settle();
  const historyId = await restore(leader);
  expect(await follower.settle()).toBe("foreign");
  expect(await follower.settle()).toBe("foreign");
  const replica = await pair.replica();
  expect((await recordsOf(replica))["albums"]).toMatchObject([
    [expect.anything(), 1, "old", null, null, "tester"],
  ]);
  follower.resume({ acceptHistory: true });
  expect(follower.status.state).toBe("backfilling");
  expect(await follower.settle()).toBe("live");
  const replaced = await pair.replica();
  expect(await recordsOf(replaced)).toEqual(await recordsOf(leader.library));
  expect(replaced.state.historyId).toBe(historyId);
});
