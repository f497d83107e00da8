import "fake-indexeddb/auto";
import { expect, test } from "bun:test";
import { clientRules } from "../../plugins/rules/index.ts";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openIndexedDb, openMemory } from "../../src/client/index.ts";
import type { ActionRule, ClientRules } from "../../src/client/index.ts";
import { briskClock, createClientWorld, until } from "../support/client-world.ts";
import type { Fetch } from "../support/client-world.ts";
import { createWorld } from "../support/world.ts";

const offline: Fetch = () => Promise.reject(new TypeError("no network"));
const names = (data: readonly unknown[]) => data.map((one) => (one as { name: string }).name);
const live = ({ connection }: { connection: string }) => connection === "live";

test("PERSIST-08: what was there shows before the network, and what was missed comes after it", async () => {
  await using world = await createClientWorld();
  await world.insertAlbum("Iceland");
  const name = createId();
  const before = world.open({ persistence: openIndexedDb({ name }) });
  before.query("album.list", {}).subscribe(() => {});
  await until(before.query("album.list", {}), ({ status }) => status === "ready");
  await before.close();
  await world.insertAlbum("Oslo");
  let isOnline = false;
  const client = world.open({
    persistence: openIndexedDb({ name }),
    fetch: (url, init) => (isOnline ? world.direct(url, init) : offline(url, init)),
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await client.ready;
  expect(names(albums.getSnapshot().data)).toEqual(["Iceland"]);
  isOnline = true;
  await until(albums, ({ data }) => data.length === 2);
  await client.signOut();
});

test("OPT-08: what was written offline survives a reload and is sent in order, each once", async () => {
  await using world = await createClientWorld();
  const name = createId();
  const id = createId();
  const before = world.open({ persistence: openIndexedDb({ name }), fetch: offline });
  const handles = [
    before.insert("album", { id, name: "first" }),
    before.update("album", id, { name: "second" }),
    before.update("album", id, { name: "third" }),
  ];
  for (const handle of handles) await until(handle, ({ state }) => state !== "saving");
  await before.close();
  await expect(handles[0]?.done).rejects.toMatchObject({ problem: { code: "closed" } });
  const client = world.open({ persistence: openIndexedDb({ name }) });
  await client.ready;
  expect(client.record("album", id).getSnapshot()).toMatchObject({
    data: { name: "third" },
    isPending: true,
  });
  await client.synced();
  const record = client.record("album", id);
  record.subscribe(() => {});
  expect((await until(record, ({ isKnown }) => isKnown)).data).toMatchObject({
    name: "third",
    version: 3,
  });
  const log = await world.send("GET", `${world.at}/log?after=0`);
  expect(log.body.entries.map((entry: { mutation_id: string }) => entry.mutation_id)).toEqual(
    handles.map((handle) => handle.id),
  );
  await client.signOut();
});

test("I5: a lost reply is settled by sending again, and takes effect once", async () => {
  await using world = await createClientWorld();
  let lostCount = 0;
  const client = world.open({
    fetch: async (url, init) => {
      const response = await world.direct(url, init);
      if (!url.endsWith("/mutations") || lostCount >= 2) return response;
      lostCount += 1;
      throw new TypeError("The reply was lost.");
    },
  });
  const { sequence } = await client.insert("album", { name: "once" }).done;
  await client.synced();
  expect([sequence, lostCount, await world.sequences()]).toEqual([1, 2, [1]]);
});

test("a mutation that the service cannot carry out is set aside, and the ones behind it go on", async () => {
  await using world = await createClientWorld();
  const client = world.open({
    fetch: (url, init) =>
      typeof init.body === "string" && init.body.includes("cursed")
        ? Promise.resolve(Response.json({ code: "internal", retry: "later" }, { status: 500 }))
        : world.direct(url, init),
  });
  const cursed = client.insert("album", { name: "cursed" });
  const good = client.insert("album", { name: "good" });
  await expect(cursed.done).rejects.toMatchObject({ problem: { code: "internal" } });
  expect((await good.done).sequence).toBe(1);
});

test("a service that is away when a mutation is tried alone refuses nothing", async () => {
  await using world = await createClientWorld();
  const answers = [500, 500, 500, 500, 500, 503];
  const client = world.open({
    fetch: (url, init) => {
      const status = url.endsWith("/mutations") ? answers.shift() : undefined;
      if (status === undefined) return world.direct(url, init);
      const code = status === 500 ? "internal" : "database_unavailable";
      return Promise.resolve(Response.json({ code, retry: "later" }, { status }));
    },
  });
  const both = [client.insert("album", { name: "one" }), client.insert("album", { name: "two" })];
  const ends = await Promise.all(both.map(({ done }) => done));
  expect(ends.map(({ sequence }) => sequence)).toEqual([1, 2]);
});

test("what was refused is still there after a reload, and tells what was asked for", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  const before = world.open({ persistence: openMemory(disk) });
  const bad = before.insert("album", { name: "" });
  await bad.done.catch(() => {});
  await before.close();
  const client = world.open({ persistence: openMemory(disk) });
  await client.ready;
  const [rejected] = client.status.getSnapshot().rejected;
  expect(rejected).toMatchObject({
    mutationId: bad.id,
    request: { kind: "commit", change: { operation: "insert", type: "album", data: { name: "" } } },
    problem: { code: "invalid_record" },
  });
  rejected?.discard();
  await until(client.status, live);
  expect(disk.queue.size).toBe(0);
});

/** An action whose twin reads what a client may not hold, as after a reload, in another tab, or of a later version. */
const rulesOf = (optimistic: ActionRule["optimistic"]): ClientRules => ({
  ...clientRules,
  actions: { ...clientRules.actions, "file.rename": { ...(optimistic && { optimistic }) } },
});
const fails = (): never => {
  throw new Error("not held here");
};

test("C17: what was queued is sent, although its twin fails after a reload", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  const before = world.open({ persistence: openMemory(disk), rules: rulesOf(undefined) });
  before.setOffline(true);
  before.action("file.rename", { id: createId(), name: "b" });
  before.insert("album", { name: "behind it" });
  await before.close();
  expect(disk.queue.size).toBe(2);
  const problems: string[] = [];
  const client = world.open({
    persistence: openMemory(disk),
    rules: rulesOf(fails),
    onProblem: ({ code }) => problems.push(code),
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(client.status, ({ rejected }) => rejected[0]?.problem.code === "not_found");
  await client.synced();
  await until(albums, ({ data }) => data.length === 1);
  expect(problems).toEqual([]);
  // Whoever makes it hears of it at once.
  expect(() => client.action("file.rename", { id: createId(), name: "c" })).toThrow("not held");
});

test("downloads do not wait for uploads", async () => {
  await using world = await createClientWorld();
  const { promise: stuck, resolve: release } = Promise.withResolvers<void>();
  const client = world.open({
    fetch: async (url, init) => {
      if (url.endsWith("/mutations")) await stuck;
      return world.direct(url, init);
    },
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(client.status, live);
  const handle = client.insert("album", { name: "waits" });
  await world.insertAlbum("arrives");
  await until(albums, ({ data }) => data.length === 2);
  release();
  await handle.done;
});

test("I4: a service that is killed and started again over the same files goes on with every client", async () => {
  await using world = await createClientWorld();
  let app = world.app;
  const client = world.open({ fetch: async (url, init) => app.fetch(new Request(url, init)) });
  await client.insert("album", { name: "before" }).done;
  // A commit needs no stream: one that is still being opened would not hear the goodbye.
  await until(client.status, live);
  world.library.hub.goodbye("shutdown", 0);
  app = { fetch: () => Promise.reject(new TypeError("down")) } as unknown as typeof app;
  const handle = client.insert("album", { name: "during" });
  await until(client.status, ({ connection }) => connection === "offline");
  await world.service.stop();
  await using again = await createWorld({ directory: world.directory });
  app = again.app;
  expect((await handle.done).sequence).toBe(2);
  await client.synced();
});

test("PERSIST-10: another registry drops what is stored with its cursor", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  await world.insertAlbum("Iceland");
  const before = world.open({ persistence: openMemory(disk) });
  before.query("album.list", {}).subscribe(() => {});
  await until(before.query("album.list", {}), ({ status }) => status === "ready");
  await before.close();
  disk.meta = { cursor: 1, historyId: disk.meta?.historyId ?? "", registryHash: "older" };
  const [row] = disk.records.values();
  disk.records.set("album:ghost", {
    ...row!,
    id: "ghost",
    record: { ...row!.record!, id: "ghost" },
  });
  const client = world.open({ persistence: openMemory(disk) });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(client.status, live);
  await until(albums, ({ isStale, status }) => status === "ready" && !isStale);
  await client.close();
  expect(disk.meta?.registryHash).not.toBe("older");
  expect([...disk.records.keys()].includes("album:ghost")).toBe(false);
});

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The same rows by the bare calls of the browser. */
async function readBare(name: string): Promise<number> {
  const opening = indexedDB.open(`syncline:${name}`);
  await new Promise((resolve) => opening.addEventListener("success", resolve));
  const rows = opening.result.transaction("records").objectStore("records").getAll();
  await new Promise((resolve) => rows.addEventListener("success", resolve));
  opening.result.close();
  return rows.result.length;
}

test("14,000 rows on disk are read in one go, in not much more than a bare read of their store takes", async () => {
  const name = createId();
  const disk = openIndexedDb({ name });
  const records = Array.from({ length: 14_000 }, (_, index) => ({
    type: "file",
    id: `f${index}`,
    record: { id: `f${index}`, version: 1, name: `file ${index}`, parentId: "p", size: index },
    version: 1,
    sequence: index,
  }));
  const none = { queries: [], droppedRecords: [], droppedQueries: [] };
  const meta = { cursor: 14_000, historyId: "h", registryHash: "r" };
  await disk.save({ meta, isFresh: true, records, ...none });
  expect(await readBare(name)).toBe(14_000);
  expect((await disk.load()).records.length).toBe(14_000);
  // In turns, and the least of each: what else the machine does only adds.
  const times = { bareMs: Infinity, oursMs: Infinity };
  for (let run = 0; run < 5; run += 1) {
    times.bareMs = Math.min(times.bareMs, await timeOf(() => readBare(name)));
    times.oursMs = Math.min(times.oursMs, await timeOf(() => disk.load()));
  }
  expect(times.oursMs / times.bareMs).toBeLessThan(2);
  await disk.destroy();
}, 60_000);

test("OPT-08: at the moment a handle says queued the edit is on disk; one that says saving may go with its page", async () => {
  await using world = await createClientWorld();
  const name = createId();
  const dying = world.open({ persistence: openIndexedDb({ name }), fetch: offline });
  const queued = new Set<string>();
  const reader = openIndexedDb({ name });
  const onDisk = async () => (await reader.loadQueue()).map((one) => (one as { id: string }).id);
  const reads: Promise<void>[] = [];
  const handles = Array.from({ length: 40 }, (_, at) => {
    const handle = dying.insert("album", { name: `album ${at}` });
    expect(handle.getSnapshot().state).toBe("saving");
    handle.subscribe(() => {
      if (handle.getSnapshot().state !== "queued") return;
      queued.add(handle.id);
      const promised = [...queued];
      reads.push(
        onDisk().then((ids) => expect(promised.filter((id) => !ids.includes(id))).toEqual([])),
      );
    });
    return handle;
  });
  for (const handle of handles) await until(handle, ({ state }) => state !== "saving");
  await Promise.all(reads);
  expect(queued.size).toBe(40);
  // The order of the disk is that in which they were made.
  expect(await onDisk()).toEqual(handles.map(({ id }) => id));
  await reader.close();
  await dying.signOut();
});

test("C16: a mutation leaves the disk when what it did is there, so that a page that ends then shows it offline", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  const memory = openMemory(disk);
  const id = createId();
  const { promise: dropped, resolve } = Promise.withResolvers<boolean>();
  const client = world.open({
    persistence: {
      ...memory,
      dropMutations: (ids) => {
        resolve(disk.records.has(`album:${id}`));
        return memory.dropMutations(ids);
      },
    },
    // Changes gather for ever.
    clock: { ...briskClock, sleep: () => new Promise(() => {}) },
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(albums, ({ status }) => status === "ready");
  client.insert("album", { id, name: "Iceland" });
  expect(await dropped).toBe(true);
});
