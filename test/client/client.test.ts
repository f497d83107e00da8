import { expect, spyOn, test } from "bun:test";
import { clientRules } from "../../plugins/rules/index.ts";
import { eventsOf } from "../../src/client/event-feed.ts";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import type { QueryRule } from "../../src/client/index.ts";
import { createClientWorld, until, untilSent } from "../support/client-world.ts";

const names = (data: readonly unknown[]) => data.map((one) => (one as { name: string }).name);

test("a query is answered once and kept up to date by the stream", async () => {
  await using world = await createClientWorld();
  await world.insertAlbum("Iceland");
  const client = world.open();
  const albums = client.query("album.list", {});
  let count = 0;
  albums.subscribe(() => (count += 1));
  const first = await until(albums, ({ status }) => status === "ready");
  expect(names(first.data)).toEqual(["Iceland"]);
  await world.insertAlbum("Oslo");
  await until(albums, ({ data }) => data.length === 2);
  expect(names(albums.getSnapshot().data)).toEqual(["Iceland", "Oslo"]);
  expect(client.status.getSnapshot()).toMatchObject({ connection: "live", cursor: 2, head: 2 });
});

test("what is asked before the stream stands is asked once, also where a record is looked at beside it", async () => {
  await using world = await createClientWorld();
  const id = createId();
  await world.insertAlbum("Iceland", id);
  const asked: string[] = [];
  const client = world.open({
    fetch: (url, init) => {
      const [, question] = /(\/query\/.*|\/resources\/.*)$/.exec(url) ?? [];
      if (question !== undefined) asked.push(question);
      return world.direct(url, init);
    },
  });
  const [albums, album] = [client.query("album.list", {}), client.record("album", id)];
  albums.subscribe(() => {});
  album.subscribe(() => {});
  await until(albums, ({ status, isFetching }) => status === "ready" && !isFetching);
  await until(album, ({ data, isKnown }) => data !== null && isKnown);
  expect(asked.map((question) => question.replace(/\?.*/, ""))).toEqual([
    "/query/album.list",
    `/resources/album/${id}`,
  ]);
});

test("OPT-01: a write shows at once, and is confirmed without a step back", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const albums = client.query("album.list", {});
  const seen: string[] = [];
  albums.subscribe(() => seen.push(names(albums.getSnapshot().data).join()));
  await until(albums, ({ status }) => status === "ready");
  seen.length = 0;
  const handle = client.insert("album", { name: "Iceland" });
  expect(names(albums.getSnapshot().data)).toEqual(["Iceland"]);
  const { sequence, resources } = await handle.done;
  expect([sequence, resources[0]?.version]).toEqual([1, 1]);
  await client.synced();
  expect([...new Set(seen)]).toEqual(["Iceland"]);
  expect(handle.getSnapshot()).toMatchObject({ state: "committed", sequence: 1 });
  expect(handle.recordId).toBe(resources[0]?.id ?? "");
});

test("a record is fetched when it is unknown, and one that is not there is known to be missing", async () => {
  await using world = await createClientWorld();
  const id = createId();
  await world.insertAlbum("Iceland", id);
  const client = world.open();
  const record = client.record("album", id);
  record.subscribe(() => {});
  expect(record.getSnapshot()).toMatchObject({ data: null, isKnown: false });
  expect((await until(record, ({ isKnown }) => isKnown)).data).toMatchObject({ name: "Iceland" });
  const missing = client.record("album", createId());
  missing.subscribe(() => {});
  expect((await until(missing, ({ isKnown }) => isKnown)).data).toBeNull();
});

test("batches and actions go through the same queue, in order", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const locationId = createId();
  const fileId = createId();
  const batch = client.batch([
    {
      operation: "insert",
      type: "location",
      data: { id: locationId, deviceId: "d", name: "disk" },
    },
    { operation: "insert", type: "file", data: { id: fileId, locationId, name: "a", size: 1 } },
  ]);
  const renamed = client.action("file.rename", { id: fileId, name: "b" });
  expect((await batch.done).sequence).toBe(2);
  await renamed.done;
  const file = client.record("file", fileId);
  file.subscribe(() => {});
  expect((await until(file, ({ isPending, isKnown }) => isKnown && !isPending)).data).toMatchObject(
    {
      name: "b",
    },
  );
});

test("C2: what is written before the stream stands is as exact as if it had stood, and asked for by nobody", async () => {
  await using world = await createClientWorld();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const asked: string[] = [];
  const client = world.open({
    fetch: async (url, init) => {
      asked.push(new URL(url).pathname.replace(world.at, ""));
      if (url.includes("/events")) await gate;
      return world.direct(url, init);
    },
  });
  const [locationId, fileId, other] = [createId(), createId(), createId()];
  client.insert("location", { id: locationId, deviceId: "d", name: "disk" });
  client.insert("file", { id: fileId, locationId, name: "a", size: 1 });
  client.insert("file", { id: other, locationId, name: "x", size: 1 });
  await client.action("file.rename", { id: fileId, name: "b" }).done;
  const file = { resource_type: "file", operation: "update", id: other };
  await world.write({ ...file, data: { name: "y" } });
  open();
  await client.synced();
  const shown = [fileId, other].map((id) => client.record("file", id).getSnapshot());
  expect(shown).toMatchObject([
    { data: { name: "b" }, isKnown: true, isPending: false },
    { data: { name: "y" }, isKnown: true, isPending: false },
  ]);
  expect(new Set(asked)).toEqual(new Set(["/events", "/mutations"]));
});

test("OPT-03: what the service refuses is rolled back, shown, and can be tried again or dropped", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  const bad = client.insert("album", { name: "" });
  const good = client.insert("album", { name: "Oslo" });
  await expect(bad.done).rejects.toMatchObject({
    problem: { code: "invalid_record", status: 422 },
  });
  await good.done;
  await client.synced();
  expect(names(albums.getSnapshot().data)).toEqual(["Oslo"]);
  const [rejected] = client.status.getSnapshot().rejected;
  expect(rejected?.mutationId).toBe(bad.id);
  rejected?.retry();
  await until(client.status, (now) => now.rejected.length === 1 && now.pendingCount === 0);
  client.status.getSnapshot().rejected[0]?.discard();
  expect(client.status.getSnapshot().rejected).toEqual([]);
});

test("C17: what cannot be sent fails its caller at once, and blocks nothing", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  const client = world.open({ persistence: openMemory(disk) });
  await client.synced();
  const round: Record<string, unknown> = { name: "round" };
  round["description"] = round;
  for (const data of [round, { name: 1n }]) {
    expect(() => client.insert("album", data as never)).toThrow(TypeError);
  }
  await client.insert("album", { name: "Oslo" }).done;
  expect(client.status.getSnapshot().pendingCount).toBe(0);
  await untilSent(disk);
});

test("C17: a record that lacks what its list is ordered by is refused, and shown nowhere until then", async () => {
  await using world = await createClientWorld();
  await world.insertAlbum("Iceland");
  const client = world.open();
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(albums, ({ status }) => status === "ready");
  const id = createId();
  const { done } = client.insert("album", { id } as never);
  expect(names(albums.getSnapshot().data)).toEqual(["Iceland"]);
  expect(client.record("album", id).getSnapshot().isPending).toBe(true);
  await expect(done).rejects.toMatchObject({ problem: { code: "invalid_record" } });
  await client.insert("album", { name: "Oslo" }).done;
  expect(names(albums.getSnapshot().data)).toEqual(["Iceland", "Oslo"]);
});

test.each<[string, QueryRule]>([
  ["matches", { returns: "album", matches: ({ coverId }) => coverId.length > 0, compare: () => 0 }],
  [
    "compare",
    {
      returns: "album",
      matches: () => true,
      compare: (left, right) => left.coverId.length - right.coverId.length,
    },
  ],
])("a list whose %s fails for a record is asked for", async (_, rule) => {
  await using world = await createClientWorld();
  const rules = { ...clientRules, queries: { ...clientRules.queries, "album.list": rule } };
  const problems: string[] = [];
  const client = world.open({ rules, onProblem: ({ detail }) => problems.push(detail) });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await client.synced();
  for (const name of ["a", "b"]) await world.insertAlbum(name);
  await until(albums, ({ data }) => names(data).join() === "a,b");
  client.insert("album", { name: "c" });
  await until(albums, ({ data }) => names(data).join() === "a,b,c");
  expect(problems).toEqual([]);
});

test("a change is what it was when it was made, and shows what will be sent", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  client.setOffline(true);
  const data: { name: string; description?: string } = { name: "Oslo" };
  const { done, recordId = "" } = client.insert("album", data);
  data.name = "Bergen";
  client.update("album", recordId, { description: undefined, coverId: null } as never);
  const shown = client.record("album", recordId).getSnapshot().data;
  expect(shown).toMatchObject({ name: "Oslo", description: null, coverId: null });
  client.setOffline(false);
  expect((await done).resources).toMatchObject([{ name: "Oslo", description: null }]);
});

test("OPT-03: what was refused for what stood in the library succeeds when it is tried again and that has changed", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  const client = world.open({ persistence: openMemory(disk) });
  const id = createId();
  const early = client.update("album", id, { name: "renamed" });
  await expect(early.done).rejects.toMatchObject({ problem: { code: "not_found" } });
  await client.insert("album", { id, name: "made" }).done;
  client.status.getSnapshot().rejected[0]?.retry();
  await client.synced();
  expect(client.status.getSnapshot().rejected).toEqual([]);
  await untilSent(disk);
  const read = await world.send("GET", `${world.at}/resources/album/${id}`);
  expect(read.body).toMatchObject({ name: "renamed", version: 2 });
});

test("eventsOf gives every event, and waitFor tells when the base has them", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const events = eventsOf(client);
  await until(client.status, ({ connection }) => connection === "live");
  const sequence = await world.write({
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name: "Iceland" },
  });
  await client.waitFor(sequence);
  expect((await events.next()).value).toMatchObject({
    envelope: { sequence: 1, libraryId: world.library.state.id },
    kind: { type: "ResourceChanged", data: { resourceType: "album" } },
  });
  await events.return?.();
});

test("equal queries share one request", async () => {
  await using world = await createClientWorld();
  let asked = 0;
  const client = world.open({
    fetch: (url, init) => {
      if (url.includes("/query/")) asked += 1;
      return world.direct(url, init);
    },
  });
  const handles = [1, 2, 3].map(() => client.query("album.list", { sort: "name" }));
  for (const handle of handles) handle.subscribe(() => {});
  await until(handles[0]!, ({ status }) => status === "ready");
  expect(asked).toBe(1);
  const end = client.query("album.list", { sort: "name" }, "cache-only").subscribe(() => {});
  client.query("album.list", { sort: "name" }, "network-only").subscribe(() => {});
  await until(handles[0]!, ({ isStale }) => !isStale);
  end();
  expect(asked).toBe(2);
  client.invalidate({ type: "tag" });
  expect(handles[0]!.getSnapshot().isStale).toBe(false);
  client.invalidate({ type: "album" });
  await until(handles[0]!, ({ isStale }) => !isStale);
  expect(asked).toBe(3);
});

test("a listener that throws harms neither the writes, nor the stream, nor the other listeners", async () => {
  using reported = spyOn(globalThis, "reportError").mockImplementation(() => {});
  await using world = await createClientWorld();
  const error = new Error("a fault of the page");
  const fail = () => {
    throw error;
  };
  let streamCount = 0;
  const client = world.open({
    onProblem: fail,
    fetch: (url, init) => {
      if (url.includes("/events")) streamCount += 1;
      return world.direct(url, init);
    },
  });
  const albums = client.query("album.list", {});
  for (const store of [albums, client.status]) store.subscribe(fail);
  client.onEvent(fail);
  // A reply that comes before the stream has begun would have it opened again.
  await client.synced();
  await client.insert("album", { name: "Iceland" }).done;
  const refused = client.insert("album", { name: "" });
  refused.subscribe(fail);
  await expect(refused.done).rejects.toMatchObject({ problem: { code: "invalid_record" } });
  await world.insertAlbum("Oslo");
  await client.insert("album", { name: "Paris" }).done;
  await until(albums, ({ data }) => names(data).join() === "Iceland,Oslo,Paris");
  await client.synced();
  expect([streamCount, await world.sequences()]).toEqual([1, [1, 2, 3]]);
  expect(new Set(reported.mock.calls.map(([one]) => one))).toEqual(new Set([error]));
});
