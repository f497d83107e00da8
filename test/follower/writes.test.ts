import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { readWaiting } from "../../src/follower/outbox.ts";
import { SyncError } from "../../src/protocol/errors.ts";
import { createPair, recordsOf } from "../support/pair.ts";

const insert = (name: string, more: object = {}) => ({
  resource_type: "album",
  operation: "insert",
  id: createId(),
  data: { name },
  ...more,
});

test("GAP-01: a write on a follower is the leader's to decide, and its answer is the caller's", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const mutation_id = createId();
  const content = insert("from the phone");
  const change = { ...content, mutation_id };
  const committed = await phone.send("POST", `${pair.at}/commit`, change);
  expect([committed.status, committed.body.sequence, committed.body.resource.name]).toEqual([
    200,
    1,
    "from the phone",
  ]);
  const typed = await phone.send("POST", `${pair.at}/resources/album/batch`, {
    changes: [{ operation: "insert", id: createId(), data: { name: "typed" } }],
  });
  expect([typed.status, typed.body.last_sequence]).toEqual([200, 2]);
  const refused = await phone.send("POST", `${pair.at}/commit`, change);
  expect([refused.status, refused.body.replayed]).toEqual([200, true]);
  const bad = await phone.send("POST", `${pair.at}/commit`, { ...insert(""), data: {} });
  expect([bad.status, bad.body.code]).toEqual([422, "invalid_record"]);
  const line = await phone.send("POST", `${pair.at}/mutations`, {
    mutations: [
      { mutation_id, commit: content },
      { mutation_id: createId(), batch: { changes: [insert("in a line")] } },
    ],
  });
  expect(line.body.answers).toMatchObject([{ replayed: true }, { last_sequence: 3 }]);
  await follower.settle();
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(leader.library));
  const log = await leader.send("GET", `${pair.at}/log`);
  expect(log.body.entries.map((entry: { device_id: string }) => entry.device_id)).toEqual([
    "phone",
    "phone",
    "phone",
  ]);
});

test("without its leader a follower answers 503, or keeps the write when asked; later all arrive in order", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  pair.cut(true);
  const change = insert("a");
  const refused = await phone.send("POST", `${pair.at}/commit`, change);
  expect([refused.status, refused.body.code, refused.headers.get("retry-after")]).toEqual([
    503,
    "overloaded",
    "2",
  ]);
  const kept = await phone.send("POST", `${pair.at}/commit?queue=1`, change);
  expect([kept.status, kept.body.queued]).toEqual([202, true]);
  // The second is refused by the leader: the id is taken. It must not block the third.
  await phone.send("POST", `${pair.at}/commit?queue=1`, change);
  const last = { changes: [insert("b")], mutation_id: createId() };
  await phone.send("POST", `${pair.at}/batch?queue=1`, last);
  await phone.send("POST", `${pair.at}/batch?queue=1`, last);
  const seen = await phone.send("GET", `${pair.at}/follower`);
  expect([seen.body.state, seen.body.waiting.length]).toEqual(["live", 3]);
  expect(await follower.settle()).toBe("waiting");

  pair.cut(false);
  expect(await follower.settle()).toBe("live");
  const names = await leader.library.database.read([
    { sql: "SELECT data->>'name' FROM sync_log ORDER BY sequence", args: [] },
  ]);
  expect(names[0]?.map((row) => row[0])).toEqual(["a", "b"]);
  const after = await phone.send("GET", `${pair.at}/follower`);
  expect(after.body.waiting).toEqual([]);
  expect(after.body.rejected).toMatchObject([{ problem: { code: "already_exists" } }]);
  const rejected = after.body.rejected[0].mutation_id;
  const path = `${pair.at}/follower/rejected/${rejected}`;
  expect((await phone.send("DELETE", path)).status).toBe(204);
  expect((await phone.send("DELETE", path)).status).toBe(404);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(leader.library));
});

test("I5: a queued write whose answer was lost takes effect once", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  pair.cut(true);
  await phone.send("POST", `${pair.at}/commit?queue=1`, insert("once"));
  pair.cut(false);
  const { send } = pair.wire;
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (init?.method === "POST" && url.endsWith("/commit"))
      throw new TypeError("The reply was lost.");
    return answer;
  };
  expect(await follower.settle()).toBe("waiting");
  pair.wire.send = send;
  expect(await follower.settle()).toBe("live");
  expect(await leader.count("SELECT count(*) FROM sync_log")).toBe(1);
  expect(follower.status.head).toBe(1);
});

test("a promoted follower leads under the next epoch, commits what waited and remembers mutations", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const done = insert("before", { mutation_id: createId() });
  const follower = await pair.follow();
  await follower.settle();
  await leader.send("POST", `${pair.at}/commit`, done);
  await follower.settle();
  pair.cut(true);
  await phone.send("POST", `${pair.at}/commit?queue=1`, insert("waited"));
  const promoted = await phone.send("POST", `${pair.at}/leader/promote`);
  expect([promoted.status, promoted.body.epoch, promoted.body.is_self]).toEqual([200, 2, true]);
  expect(follower.status.state).toBe("promoted");
  const again = await phone.send("POST", `${pair.at}/commit`, done);
  expect([again.status, again.body.replayed, again.body.sequence]).toEqual([200, true, 1]);
  const own = await phone.send("POST", `${pair.at}/commit`, insert("own"));
  expect([own.body.sequence, own.body.epoch]).toEqual([3, 2]);
  expect((await phone.send("GET", `${pair.at}/follower`)).status).toBe(404);
  const twice = await phone.send("POST", `${pair.at}/leader/promote`);
  expect([twice.status, twice.body]).toEqual([200, promoted.body]);
  const never = `/v1/libraries/${phone.library.state.id}/leader/promote`;
  expect((await phone.send("POST", never)).status).toBe(404);
  const restarted = await pair.restartPhone();
  const later = await restarted.send("POST", `${pair.at}/leader/promote`);
  expect([later.status, later.body.is_self]).toEqual([200, true]);
});

test("a promotion that ended half-way goes on: what waited was accepted, and is not lost", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  for (const name of ["first", "second"])
    await phone.send("POST", `${pair.at}/commit?queue=1`, insert(name));
  const { catalog, following } = phone.service;
  // Its process ended when the replica had become a library that leads, and before any write.
  await catalog.database.write([{ sql: "UPDATE follower SET token = NULL", args: [] }]);
  const lead = async (until: string) =>
    (await pair.replica()).database.write([
      { sql: "DELETE FROM follower", args: [] },
      {
        sql: `UPDATE library SET leader_device_id = 'another', lease_expires_at = ${until}`,
        args: [],
      },
    ]);
  const waitingNow = async () => (await readWaiting((await pair.replica()).database)).length;
  await lead("CAST(unixepoch('subsec') * 1000 AS INTEGER) + 60000");
  await following.look();
  // Whoever leads it does that, as soon as it looks.
  expect(await waitingNow()).toBe(2);
  await lead("0");
  await following.look();
  expect(await waitingNow()).toBe(0);
  const { albums } = await recordsOf(await pair.replica());
  expect(albums).toMatchObject([{ 2: "first" }, { 2: "second" }]);
  const sql = "SELECT leader_url FROM follower";
  const [rows = []] = await catalog.database.read([{ sql, args: [] }]);
  expect(rows.map((row) => [...row])).toEqual([[""]]);
});

test("a promotion stops at what may pass, sets nothing aside, and goes on from there", async () => {
  const fault = { isOn: false };
  await using pair = await createPair({
    followerDecorate: (_name, database) => ({
      ...database,
      write: async (statements) => {
        if (fault.isOn && JSON.stringify(statements).includes("second"))
          throw new SyncError("database_unavailable", { retryAfterSeconds: 1 });
        return database.write(statements);
      },
    }),
  });
  const { phone } = pair;
  await (await pair.follow()).settle();
  pair.cut(true);
  for (const name of ["first", "second", "third"])
    await phone.send("POST", `${pair.at}/commit?queue=1`, insert(name));
  const waitingNow = async () =>
    (await readWaiting((await pair.replica()).database)).map(({ request }) => request["data"]);
  fault.isOn = true;
  const stopped = await phone.send("POST", `${pair.at}/leader/promote`);
  expect([stopped.status, stopped.body.code]).toEqual([503, "database_unavailable"]);
  // All three were of one group, which is written as a whole or not at all.
  const all = ["first", "second", "third"].map((name) => ({ name }));
  expect(await waitingNow()).toEqual(all);
  // What is asked again too early changes nothing.
  await phone.service.following.look();
  expect(await waitingNow()).toEqual(all);
  fault.isOn = false;
  await phone.service.following.look();
  const { database } = await pair.replica();
  const [left = []] = await database.read([{ sql: "SELECT problem FROM outbox", args: [] }]);
  expect(left).toEqual([]);
  const sql = "SELECT data->>'name' FROM sync_log ORDER BY sequence";
  const [rows = []] = await database.read([{ sql, args: [] }]);
  expect(rows.map(([name]) => name)).toEqual(["first", "second", "third"]);
});

test("I3: a page that arrives after the promotion is refused by the database", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await follower.settle();
  await pair.leader.insertAlbum("late");
  const page = await follower.upstream.log(0, 10, null);
  await pair.phone.service.following.promote(pair.libraryId);
  const library = await pair.replica();
  await expect(library.manager.applyRemote(page)).rejects.toThrow("GUARD:follow");
  expect(library.state.head).toBe(0);
});
