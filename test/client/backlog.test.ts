/** What was written without a network goes out in lines: in order, each once, each with its own fate. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import type { MemoryDisk } from "../../src/client/index.ts";
import { createBrowser } from "../support/browser.ts";
import { createClientWorld, until, untilSent } from "../support/client-world.ts";
import type { BundledClient, Fetch } from "../support/client-world.ts";

type World = Awaited<ReturnType<typeof createClientWorld>>;

/** A network that counts the lines it carries, and may be cut. */
function createLine({ direct }: World) {
  const line = { isCut: true, count: 0 };
  const fetch: Fetch = (url, init) => {
    if (line.isCut) return Promise.reject(new TypeError("no network"));
    if (url.endsWith("/mutations")) line.count += 1;
    return direct(url, init);
  };
  return { line, fetch };
}

/** The body of a request of the client: JSON, or none. */
const textOf = ({ body }: RequestInit): string => (typeof body === "string" ? body : "{}");

const insertMany = (client: BundledClient, count: number, name = "album") =>
  Array.from({ length: count }, (_, index) => {
    const id = createId();
    return { id, handle: client.insert("album", { id, name: `${name} ${index}` }) };
  });

/** Record and kind of each entry of the log, in order. */
async function logOf(world: World): Promise<readonly unknown[]> {
  const [rows = []] = await world.library.database.read([
    { sql: "SELECT change_type || ' ' || record_id FROM sync_log ORDER BY sequence", args: [] },
  ]);
  return rows.map(([line]) => line);
}

/** The mutation id of each entry of the log, in order. */
async function mutationsOf(world: World): Promise<readonly unknown[]> {
  const [rows = []] = await world.library.database.read([
    { sql: "SELECT mutation_id FROM sync_log ORDER BY sequence", args: [] },
  ]);
  return rows.map(([id]) => id);
}

/** As a page that died leaves it. */
const copyOf = ({ meta, records, queries, queue }: MemoryDisk): MemoryDisk => ({
  meta,
  records: new Map(records),
  queries: new Map(queries),
  queue: new Map(queue),
});

test("OPT-08: 1,000 offline edits go out in few requests, in the order in which they were made", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({ fetch });
  const made = insertMany(client, 500);
  const changed = made.map(({ id }, index) =>
    index % 5 === 0
      ? client.delete("album", id)
      : client.update("album", id, { name: `renamed ${index}` }),
  );
  line.isCut = false;
  await client.synced();
  expect(await logOf(world)).toEqual([
    ...made.map(({ id }) => `insert ${id}`),
    ...made.map(({ id }, index) => `${index % 5 === 0 ? "delete" : "update"} ${id}`),
  ]);
  for (const handle of [...made.map(({ handle }) => handle), ...changed])
    expect(handle.getSnapshot().state).toBe("committed");
  const [first] = (await made[1]!.handle.done).resources;
  expect(first).toMatchObject({ id: made[1]!.id, name: "album 1", version: 1 });
  expect(line.count).toBe(10);
  expect(await mutationsOf(world)).toEqual([
    ...made.map(({ handle }) => handle.id),
    ...changed.map(({ id }) => id),
  ]);
});

test("synced() ends with a line in which one is refused, although nothing follows that could tell", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({
    // The reply comes when the stream stands, and has nothing to show.
    fetch: async (url, init) => {
      const answered = await fetch(url, init);
      if (url.endsWith("/mutations")) await until(client.status, ({ cursor }) => cursor === 1);
      return answered;
    },
  });
  const id = createId();
  const made = client.insert("album", { id, name: "a" });
  const lost = client.update("album", createId(), { name: "nobody" });
  // It was sent before, and the reply was lost.
  await world.write({
    resource_type: "album",
    operation: "insert",
    id,
    data: { name: "a" },
    mutation_id: made.id,
  });
  line.isCut = false;
  await client.synced();
  expect(await made.done).toMatchObject({ sequence: 1 });
  await expect(lost.done).rejects.toMatchObject({ problem: { code: "not_found" } });
});

test("OPT-03: of a line only what is refused is set aside, and the others go on in order", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({ fetch });
  const good = insertMany(client, 8, "before");
  const bad = client.insert("album", { name: "" });
  const lost = client.update("album", createId(), { name: "nobody" });
  const unknown = client.batch([
    { operation: "insert", type: "nothing" as "album", data: { name: "of no type" } },
  ]);
  good.push(...insertMany(client, 8, "after"));
  line.isCut = false;
  await client.synced();
  await expect(bad.done).rejects.toMatchObject({ problem: { code: "invalid_record" } });
  await expect(lost.done).rejects.toMatchObject({ problem: { code: "not_found", status: 404 } });
  await expect(unknown.done).rejects.toMatchObject({
    problem: { code: "unknown_resource_type", resourceType: "nothing" },
  });
  const { rejected } = client.status.getSnapshot();
  expect(rejected.map(({ mutationId }) => mutationId)).toEqual([bad.id, lost.id, unknown.id]);
  expect(await logOf(world)).toEqual(good.map(({ id }) => `insert ${id}`));
  expect(line.count).toBe(1);
});

test("edits, batches and actions of a backlog share a line, and each has its own answer", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({ fetch });
  const location = client.insert("location", { deviceId: createId(), name: "Photos" });
  const fileId = createId();
  const file = client.insert("file", {
    id: fileId,
    locationId: location.recordId ?? "",
    name: "a.jpg",
    size: 1,
  });
  const renamed = client.action("file.rename", { id: fileId, name: "b.jpg" });
  const tags = client.batch(
    ["x", "y"].map((name) => ({
      operation: "insert" as const,
      type: "tag" as const,
      data: { name },
    })),
  );
  line.isCut = false;
  const receipts = await Promise.all([location, file, renamed, tags].map(({ done }) => done));
  expect(receipts.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 5]);
  expect(receipts[3]?.resources.map(({ name }) => name)).toEqual(["x", "y"]);
  await client.synced();
  expect(line.count).toBe(1);
  expect(client.record("file", fileId).getSnapshot()).toMatchObject({
    data: { name: "b.jpg" },
    isKnown: true,
  });
});

test("what can have no answer now ends a line: what stands behind it waits, and nothing is done twice", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  let stoppedCount = 0;
  const client = world.open({
    fetch: async (url, init) => {
      const { mutations } = JSON.parse(textOf(init)) as { mutations?: object[] };
      if (line.isCut || mutations === undefined || stoppedCount > 2) return fetch(url, init);
      stoppedCount += 1;
      const some = JSON.stringify({ mutations: mutations.slice(0, 5) });
      const { answers } = (await (await fetch(url, { ...init, body: some })).json()) as object & {
        answers: object[];
      };
      const stopped = { code: "overloaded", status: 503, retry: "later", detail: "Busy." };
      // The last one happened, and its answer was lost.
      return Response.json({ answers: answers.slice(0, 4), stopped });
    },
  });
  const made = insertMany(client, 30);
  line.isCut = false;
  await client.synced();
  expect([stoppedCount, line.count]).toEqual([3, 4]);
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
});

test("I5: a line whose answer was lost with its page takes effect once, whatever line its edits are in later", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const disk = createMemoryDisk();
  const taken = Promise.withResolvers<void>();
  const before = world.open({
    persistence: openMemory(disk),
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      if (!url.endsWith("/mutations")) return response;
      taken.resolve();
      // The page never hears of it.
      return new Promise(() => {});
    },
  });
  const made = insertMany(before, 20);
  await until(before.status, ({ pendingCount }) => pendingCount === 20);
  line.isCut = false;
  await taken.promise;
  made.push(...insertMany(before, 15, "later"));
  await until(made.at(-1)!.handle, ({ state }) => state === "queued");
  const left = copyOf(disk);
  // The disk had forgotten some of them when the page died.
  for (const { handle } of made.slice(3, 6)) left.queue.delete(handle.id);
  line.isCut = true;
  const client = world.open({ persistence: openMemory(left), fetch });
  await client.ready;
  made.push(...insertMany(client, 5, "last"));
  line.isCut = false;
  await client.synced();
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
  expect(client.status.getSnapshot().rejected).toEqual([]);
  await untilSent(left);
});

test("I5: a line that a dying tab sent is sent again by its heir, and takes effect once", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const browser = createBrowser(createId());
  const disk = createMemoryDisk();
  const taken = Promise.withResolvers<void>();
  const first = browser.openTab();
  const leader = world.open({
    tabs: first.tabs,
    persistence: openMemory(disk),
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      if (!url.endsWith("/mutations")) return response;
      taken.resolve();
      return new Promise(() => {});
    },
  });
  await until(leader.status, ({ connection }) => connection === "offline");
  const heir = world.open({ tabs: browser.openTab().tabs, persistence: openMemory(disk), fetch });
  await heir.ready;
  const made = [...insertMany(heir, 12, "heir"), ...insertMany(leader, 12, "leader")];
  await until(heir.status, ({ pendingCount }) => pendingCount === 24);
  await until(leader.status, ({ pendingCount }) => pendingCount === 24);
  line.isCut = false;
  await taken.promise;
  first.crash();
  await heir.synced();
  const log = await logOf(world);
  expect([log.length, new Set(log)]).toEqual([24, new Set(made.map(({ id }) => `insert ${id}`))]);
  expect(heir.status.getSnapshot().rejected).toEqual([]);
});

test("I5: a disk that forgets nothing, and a page that dies, have nothing take effect twice", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const disk = createMemoryDisk();
  const memory = openMemory(disk);
  const before = world.open({
    persistence: { ...memory, dropMutations: () => Promise.reject(new Error("full")) },
    fetch,
  });
  const made = insertMany(before, 30);
  await until(before.status, ({ pendingCount }) => pendingCount === 30);
  line.isCut = false;
  await before.synced();
  const left = copyOf(disk);
  expect(left.queue.size).toBe(30);
  line.isCut = true;
  const client = world.open({ persistence: openMemory(left), fetch });
  await client.ready;
  made.push(...insertMany(client, 3, "new"));
  line.isCut = false;
  await client.synced();
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
  await untilSent(left);
});

test("what is no answer is none: the edit stays, and is sent again", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  let isOdd = true;
  const client = world.open({
    fetch: (url, init) => {
      if (!url.endsWith("/mutations") || line.isCut || !isOdd) return fetch(url, init);
      isOdd = false;
      return Promise.resolve(Response.json({ answers: [null, "yes"] }));
    },
  });
  const made = insertMany(client, 2);
  line.isCut = false;
  await client.synced();
  expect(isOdd).toBe(false);
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
});

test("a line that is refused as a whole is sent one by one", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({
    fetch: (url, init) =>
      textOf(init).split("mutation_id").length > 2 && !line.isCut
        ? Promise.resolve(
            Response.json({ code: "body_too_large", retry: "never" }, { status: 413 }),
          )
        : fetch(url, init),
  });
  const made = insertMany(client, 12);
  line.isCut = false;
  await client.synced();
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
  expect(line.count).toBe(12);
});

test("a line has as many edits as its bytes allow", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({ fetch });
  for (let index = 0; index < 5; index += 1)
    client.insert("album", { name: "large", description: "d".repeat(9_000) + index });
  const notes = "n".repeat(90_000);
  for (let index = 0; index < 20; index += 1)
    client.insert("user_metadata", { fileId: createId(), favorite: true, hidden: false, notes });
  line.isCut = false;
  await client.synced();
  expect((await logOf(world)).length).toBe(25);
  expect(line.count).toBe(2);
});

test("GAP-09: what a line made and deleted again is gone, for who sent it and who hears of it", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const witness = world.open();
  const client = world.open({ fetch });
  const lists = [witness, client].map((one) => one.query("album.list", {}));
  for (const list of lists) list.subscribe(() => {});
  const made = insertMany(client, 12);
  for (const { id } of made.slice(0, 11)) client.delete("album", id);
  line.isCut = false;
  await client.synced();
  await witness.waitFor(23);
  for (const list of lists)
    expect((await until(list, ({ isStale }) => !isStale)).data.map(({ id }) => id)).toEqual([
      made[11]!.id,
    ]);
});
