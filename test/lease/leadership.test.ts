import { expect, test } from "bun:test";
import { createCluster } from "../support/cluster.ts";
import { createWorld, startService } from "../support/world.ts";
import { readUntil, readFrames } from "../support/events.ts";

test("LEAD-02: who creates a library leads it, and every node says so", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  const own = (await a.send("GET", `${cluster.at}/leader`)).body;
  expect(own).toMatchObject({ leader_device_id: "a", leader_url: "http://a", epoch: 1 });
  expect(own.is_self).toBe(true);
  expect(own.lease_expires_in_ms).toBeWithin(13_000, 15_001);
  const other = (await b.send("GET", `${cluster.at}/leader`)).body;
  expect(other).toMatchObject({ leader_device_id: "a", epoch: 1, is_self: false });
  expect(other.lease_expires_in_ms).toBeWithin(13_000, 15_001);
});

test("a lease that was released goes to the next node that gets a write, under the next epoch", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  await a.insert("by a");
  const released = await a.send("POST", `${cluster.at}/leader/release`);
  expect(released.body).toMatchObject({ lease_expires_in_ms: 0, is_self: false, epoch: 1 });
  expect((await b.insert("by b")).body).toMatchObject({ sequence: 2, epoch: 2 });
  expect((await b.send("GET", `${cluster.at}/leader`)).body).toMatchObject({
    leader_device_id: "b",
    is_self: true,
  });
  expect((await a.insert("by a, through b")).body).toMatchObject({ sequence: 3, epoch: 2 });
  expect(await cluster.log()).toEqual([
    [1, 1],
    [2, 2],
    [3, 2],
  ]);
});

test("any node may be asked to release; only an owner may", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  expect((await b.send("POST", `${cluster.at}/leader/release`)).status).toBe(200);
  expect((await a.send("GET", `${cluster.at}/leader`)).body.is_self).toBe(false);
});

test("a node that restarts with its own device id leads again at once, under the next epoch", async () => {
  await using world = await createWorld();
  await world.insertAlbum("before");
  // The first process is still there, as after a crash that nobody noticed.
  const again = await startService({ directory: world.directory });
  const library = await again.catalog.open(world.library.state.id);
  expect(library.state).toMatchObject({ epoch: 2, head: 1, leaderDeviceId: "node" });
  const refused = await world.insertAlbum("by the one before");
  expect([refused.status, refused.body.code]).toEqual([409, "stale_epoch"]);
  await again.stop();
});

test("LEAD-22: past its own deadline a node does not write, though nobody took over and no renewal answered", async () => {
  await using cluster = await createCluster({ count: 1 });
  const [a] = cluster.nodes;
  const library = await a.library();
  await a.insert("in time");
  library.state.leadsUntil = 1;
  const change = { resource_type: "album", operation: "insert", id: "x", data: { name: "late" } };
  const late = library.manager.commit(
    { ...change, operation: "insert" },
    {
      author: { deviceId: "a", isDevice: false },
    },
  );
  await expect(late).rejects.toMatchObject({ code: "not_leader" });
  expect((await a.insert("after taking it again")).body).toMatchObject({ sequence: 2, epoch: 2 });
});

test("LEAD-22: the database refuses a leader whose lease has ended, by its own clock", async () => {
  await using world = await createWorld();
  await world.library.database.write([
    { sql: "UPDATE library SET lease_expires_at = 1", args: [] },
  ]);
  const refused = await world.insertAlbum("late");
  expect([refused.status, refused.body.code]).toEqual([409, "stale_epoch"]);
  expect((await world.insertAlbum("again")).body).toMatchObject({ sequence: 1, epoch: 2 });
});

test("an expired lease goes to another node, and the old leader forwards to it (LEAD-16)", async () => {
  await using cluster = await createCluster({ leaseMs: 1_000_000 });
  const [a, b] = cluster.nodes;
  await a.insert("by a");
  const { database } = await a.library();
  await database.write([{ sql: "UPDATE library SET lease_expires_at = 1", args: [] }]);
  cluster.cut.add("a");
  expect((await b.insert("by b")).body).toMatchObject({ sequence: 2, epoch: 2 });
  const fenced = await a.insert("refused, and nothing of it stays");
  expect([fenced.status, fenced.body.code]).toEqual([409, "stale_epoch"]);
  expect((await a.insert("through b")).body).toMatchObject({ sequence: 3, epoch: 2 });
});

test("two nodes that reach for a free lease together: one gets it, epochs stay dense", async () => {
  await using cluster = await createCluster({ count: 3 });
  const [a, b, c] = cluster.nodes;
  await Promise.all([b.library(), c.library()]);
  for (let round = 1; round <= 5; round += 1) {
    const leader = [a, b, c].find(({ name }) => name === cluster.nodes[(round - 1) % 3]?.name) ?? a;
    await leader.send("POST", `${cluster.at}/leader/release`);
    const answers = await Promise.all([a.insert("x"), b.insert("y"), c.insert("z")]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  }
  const log = await cluster.log();
  expect(log.map(([sequence]) => sequence)).toEqual(Array.from({ length: 15 }, (_, at) => at + 1));
  const epochs = [...new Set(log.map(([, epoch]) => epoch))];
  expect(epochs).toEqual(Array.from({ length: epochs.length }, (_, at) => at + 2));
});

test("LEAD-15: subscribers of every node hear once who leads now", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  const heard = async (response: Response) => {
    const changes: unknown[] = [];
    for await (const { event, data, id } of readFrames(response)) {
      if (event === "LeaderChanged") changes.push(JSON.parse(data ?? "").kind.data);
      if (id === "2") break;
    }
    return changes;
  };
  const open = (node: typeof a) => node.ask(`${cluster.at}/events?encoding=json`);
  const both = Promise.all([heard(await open(a)), heard(await open(b))]);
  await a.send("POST", `${cluster.at}/leader/release`);
  await b.insert("by b");
  await b.insert("by b");
  const change = { leader_device_id: "b", leader_url: "http://b", epoch: 2 };
  expect(await both).toEqual([[change], [change]]);
});

test("the next leader closes what the last one left running, and says how much is there", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  const { database } = await a.library();
  const token = "0190a8d5-3f6e-7c1b-9d52-8a4f6e2b1c3d";
  const sql = `INSERT INTO bulk_operations (token, resource_type, mode, state, device_id, hints, received_count,
    affected_count, failed_count, updated_at) VALUES (?, 'album', 'insert', 'running', 'a', '{}', 7, 7, 0, 0)`;
  await database.write([{ sql, args: [token] }]);
  await a.send("POST", `${cluster.at}/leader/release`);
  await b.insert("by b");
  expect((await b.send("GET", `${cluster.at}/bulk/${token}`)).body).toMatchObject({
    state: "interrupted",
    affected_count: 7,
    sequence: 1,
  });
  const [bulk] = await readUntil(await b.ask(`${cluster.at}/events?after=0&encoding=json`), 2);
  expect(bulk?.kind.data).toMatchObject({ affected_count: 7, interrupted: true });
});
