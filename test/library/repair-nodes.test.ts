/** Two nodes share a copy, and one of them mends it from the leader while the other goes on with the log. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import type { Fetch } from "../../src/follower/upstream.ts";
import type { Library } from "../../src/library/library.ts";
import { examineLibrary } from "../../src/tools/doctor.ts";
import { createPair, recordsOf } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

test("I2: a page of a snapshot that comes late overwrites nothing that another node has from the log", async () => {
  await using pair = await createPair();
  const { leader, phone, at } = pair;
  const id = createId();
  const gone = createId();
  for (const album of [id, gone]) await leader.insertAlbum("old", album);
  const follower = await pair.follow();
  await follower.settle();
  const { database } = await pair.replica();
  await database.write([
    { sql: "UPDATE checksums SET sum = sum + 1 WHERE resource_type = 'album'", args: [] },
  ]);
  const [asked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow: Fetch = async (url, init) => {
    const answer = await leader.app.request(url, init);
    if (!url.includes("/snapshot")) return answer;
    const text = await answer.text();
    asked.resolve();
    await held.promise;
    return new Response(text);
  };
  await using second = await createWorld({
    deviceId: "second",
    directory: phone.directory,
    fetch: slow,
  });
  const mender = second.service.following.find(pair.libraryId);
  // A difference is believed when it is seen twice.
  await mender?.settle();
  const mending = mender?.settle();
  await asked.promise;
  const change = { resource_type: "album", operation: "update", id, data: { name: "new" } };
  await leader.send("POST", `${at}/commit`, change);
  await leader.send("POST", `${at}/commit`, { ...change, operation: "delete", id: gone });
  await follower.settle();
  held.resolve();
  await mending;
  const replica = await pair.replica();
  const { findings } = await examineLibrary(replica.database.read, phone.service.registry);
  expect(findings.filter((one) => one.startsWith("I"))).toEqual([]);
  for (const one of [mender, follower]) {
    await one?.settle();
    expect(await one?.settle()).toBe("live");
  }
  expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
});

test("a whole snapshot that one node takes is the other's too: past the log, and of another history", async () => {
  await using pair = await createPair();
  await using restored = await createWorld({ deviceId: "restored" });
  const { leader, phone, at, wire } = pair;
  await leader.insertAlbum("a");
  const follower = await pair.follow();
  await follower.settle();
  let snapshotCount = 0;
  let send = wire.send;
  wire.send = (url, init) => {
    if (url.includes("/snapshot")) snapshotCount += 1;
    return send(url, init);
  };
  await using second = await createWorld({
    deviceId: "second",
    directory: phone.directory,
    fetch: async (url, init) => wire.send(url, init),
  });
  const other = second.service.following.find(pair.libraryId);
  expect(await other?.settle()).toBe("live");
  const insert = (world: World, name: string) => {
    const change = { resource_type: "album", operation: "insert", id: createId(), data: { name } };
    return world.send("POST", `${at}/commit`, change);
  };
  // What neither has pulled is trimmed.
  for (const name of ["b", "c"]) await insert(leader, name);
  await leader.library.database.write([
    { sql: "UPDATE library SET oldest_sequence = 3", args: [] },
    { sql: "DELETE FROM sync_log WHERE sequence < 3", args: [] },
  ]);
  await leader.service.catalog.release(pair.libraryId);
  expect(await follower.settle()).toBe("live");
  await insert(leader, "d");
  expect([await other?.settle(), await follower.settle(), snapshotCount]).toEqual([
    "live",
    "live",
    1,
  ]);

  await restored.service.catalog.create({ id: pair.libraryId, name: "home" });
  await insert(restored, "e");
  send = (url, init) => restored.app.request(url, init);
  expect([await follower.settle(), await other?.settle()]).toEqual(["foreign", "foreign"]);
  follower.resume({ acceptHistory: true });
  expect(await follower.settle()).toBe("live");
  expect([await other?.settle(), snapshotCount]).toEqual(["live", 2]);
  await insert(restored, "f");
  expect(await other?.settle()).toBe("live");
  const [theirs, ours] = await Promise.all(
    [restored, second].map(({ service }) => service.catalog.open(pair.libraryId)),
  );
  expect(ours?.state).toMatchObject({ historyId: theirs?.state.historyId, head: 2 });
  expect(await recordsOf(ours as Library)).toEqual(await recordsOf(theirs as Library));
});
