/**
 * The node that runs a merge dies for good, at odd moments: whoever asks another node for the job
 * learns how it ended. Dead is a node whose every write fails: it can neither go on nor say so.
 */
import { expect, test } from "bun:test";
import { SyncError } from "../../src/protocol/errors.ts";
import { createPair, setupRequest, tokensKept } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

const LEASE_MS = 400;

/** A pair whose phone dies right after the write that `lastWords` names. */
async function createMortalPair(lastWords: RegExp) {
  const died = Promise.withResolvers<void>();
  let isDead = false;
  const pair = await createPair({
    leaseMs: LEASE_MS,
    followerDecorate: (_name, database) => ({
      ...database,
      write: async (statements) => {
        if (isDead) throw new SyncError("database_unavailable", { retryAfterSeconds: 1 });
        const written = await database.write(statements);
        isDead = statements.some((one) => "sql" in one && lastWords.test(one.sql));
        if (isDead) died.resolve();
        return written;
      },
    }),
  });
  return {
    ...pair,
    died: died.promise,
    /** The dead node comes back, and sees what became of its work. */
    revive: async () => {
      isDead = false;
      await pair.phone.service.setup.settled();
    },
  };
}

/** Another node over the phone's databases. Its clock is wrong, which must decide nothing. */
const secondNode = (pair: Pair): Promise<World> =>
  createWorld({
    deviceId: "second",
    aheadMs: 240_000,
    directory: pair.phone.directory,
    leaseMs: LEASE_MS,
    fetch: async (url, init) => pair.wire.send(url, init),
  });

async function begin(pair: Pair, type: string, leader: "phone" | "node"): Promise<string> {
  const request = setupRequest(pair, type, leader);
  const { body } = await pair.phone.send("POST", "/v1/sync-setup", request);
  return `/v1/jobs/${body.job_id}`;
}

/** As if the node had told nothing of its jobs for an hour. */
const fallSilent = ({ service }: World) =>
  service.catalog.database.write([
    { sql: "UPDATE jobs SET updated_at = updated_at - 3600000", args: [] },
  ]);

/** Asks for a job at a node that looks for jobs every moment, until it has ended. */
async function awaitEnd(world: World, job: string) {
  for (;;) {
    await world.service.setup.resume();
    await world.service.setup.settled();
    const { body } = await world.send("GET", job);
    if (body.status !== "running") return body;
    await Bun.sleep(20);
  }
}

const names = async (world: World, at: string): Promise<string[]> => {
  const { body } = await world.send("GET", `${at}/resources/album?limit=1000`);
  return body.resources.map((one: { name: string }) => one.name).toSorted();
};

for (const [when, lastWords] of [
  ["has frozen its library", /INSERT INTO follower .* SELECT \?, \? FROM library/s],
  ["follows the other", /INSERT INTO follower .*device_id/s],
  ["has let its id stand for the other", /SET state = 'merged'/],
] as const) {
  test(`MergeIntoRemote: a node that dies when it ${when}: another completes the job`, async () => {
    await using pair = await createMortalPair(lastWords);
    const { leader, phone } = pair;
    await phone.insertAlbum("a");
    await leader.insertAlbum("b");
    await using second = await secondNode(pair);
    // It has the library open as it was.
    await second.send("GET", phone.at);
    const job = await begin(pair, "MergeIntoRemote", "node");
    await pair.died;
    await second.service.setup.resume();
    await second.service.setup.settled();
    // A node that spoke a moment ago may be at it still.
    expect((await second.send("GET", job)).body.status).toBe("running");
    await fallSilent(second);
    expect(await awaitEnd(second, job)).toMatchObject({ status: "complete", progress: 1 });
    expect(await tokensKept(phone)).toBe(0);
    // What the second node does by itself every few seconds.
    await second.service.following.look();
    await second.service.following.find(pair.libraryId)?.settle();
    expect(await names(second, phone.at)).toEqual(["a", "b"]);
    // The other service let one device in, whichever node it is at.
    const { positions } = (await leader.send("GET", `${pair.at}/positions`)).body;
    expect(positions.map((one: { device_id: string }) => one.device_id)).toEqual(["phone"]);
    await pair.revive();
    expect((await second.send("GET", job)).body.status).toBe("complete");
    expect(leader.library.state.head).toBe(2);
  });
}

test("CreateShared: a node that dies between the two libraries: another takes the lease and the job", async () => {
  await using pair = await createMortalPair(/SET state = 'merged'/);
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  await leader.insertAlbum("b");
  await using second = await secondNode(pair);
  const job = await begin(pair, "CreateShared", "phone");
  await pair.died;
  expect(await awaitEnd(second, job)).toMatchObject({ status: "complete", progress: 2 });
  expect(await names(second, phone.at)).toEqual(["a", "b"]);
  await pair.revive();
  expect((await phone.send("GET", job)).body.status).toBe("complete");
});

test("a job whose library is deleted fails, and hinders neither another job nor a start", async () => {
  await using pair = await createMortalPair(/INSERT INTO jobs/);
  const { phone } = pair;
  await using second = await secondNode(pair);
  const other = await second.service.catalog.create({ name: "other" });
  const job = await begin(pair, "MergeIntoRemote", "node");
  await pair.died;
  const at = `/v1/libraries/${other.state.id}`;
  // Until the lease of the dead node has ended nobody can.
  while ((await second.send("DELETE", phone.at)).status !== 204) await Bun.sleep(20);
  await using third = await secondNode(pair);
  const asked = {
    ...setupRequest(pair, "MergeIntoRemote", "node"),
    local_library_id: other.state.id,
  };
  const { body } = await second.send("POST", "/v1/sync-setup", asked);
  expect(await awaitEnd(second, `/v1/jobs/${body.job_id}`)).toMatchObject({ status: "complete" });
  expect((await third.send("GET", at)).status).toBe(200);
  await fallSilent(second);
  const { status, message } = await awaitEnd(second, job);
  expect([status, message]).toEqual(["failed", `There is no library ${phone.library.state.id}.`]);
});

test("RegisterOnly: a node that is gone is not made known any more, once its time is over", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  const { send } = pair.wire;
  pair.wire.send = async () => {
    throw new TypeError("The network is down.");
  };
  const job = await begin(pair, "RegisterOnly", "phone");
  await phone.service.stop();
  await using second = await secondNode(pair);
  pair.wire.send = send;
  await second.service.setup.resume();
  expect((await second.send("GET", job)).body.status).toBe("running");
  const sql = "UPDATE jobs SET input = json_set(input, '$.untilMs', 1)";
  await second.service.catalog.database.write([{ sql, args: [] }]);
  expect(await awaitEnd(second, job)).toMatchObject({ status: "failed" });
  expect(await tokensKept(second)).toBe(0);
});
