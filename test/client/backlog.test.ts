/** What was written without a network goes out in groups: in order, each once, each with its own fate. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import type { MemoryDisk } from "../../src/client/index.ts";
import { createBrowser } from "../support/browser.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import type { BundledClient, Fetch } from "../support/client-world.ts";

type World = Awaited<ReturnType<typeof createClientWorld>>;

/** A network that counts writes and may be cut. */
function createLine({ direct }: World) {
  const line = { isCut: true, batches: 0, commits: 0 };
  const fetch: Fetch = (url, init) => {
    if (line.isCut) return Promise.reject(new TypeError("no network"));
    if (url.endsWith("/batch")) line.batches += 1;
    if (url.endsWith("/commit")) line.commits += 1;
    return direct(url, init);
  };
  return { line, fetch };
}

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
  expect([line.batches, line.commits]).toEqual([10, 0]);
});

test("OPT-03: of a group only what is refused is set aside, and the others go on in order", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({ fetch });
  const good = insertMany(client, 8, "before");
  const bad = client.insert("album", { name: "" });
  const lost = client.update("album", createId(), { name: "nobody" });
  good.push(...insertMany(client, 8, "after"));
  line.isCut = false;
  await client.synced();
  await expect(bad.done).rejects.toMatchObject({ problem: { code: "invalid_record" } });
  await expect(lost.done).rejects.toMatchObject({ problem: { code: "not_found" } });
  const { rejected } = client.status.getSnapshot();
  expect(rejected.map(({ mutationId }) => mutationId)).toEqual([bad.id, lost.id]);
  expect(await logOf(world)).toEqual(good.map(({ id }) => `insert ${id}`));
  expect([line.batches, line.commits]).toEqual([3, 0]);
});

test("I5: a group whose answer was lost with its page is the same group afterwards, and takes effect once", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const disk = createMemoryDisk();
  const taken = Promise.withResolvers<void>();
  const before = world.open({
    persistence: openMemory(disk),
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      if (!url.endsWith("/batch")) return response;
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
  line.isCut = true;
  const client = world.open({ persistence: openMemory(left), fetch });
  await client.ready;
  made.push(...insertMany(client, 5, "last"));
  line.isCut = false;
  await client.synced();
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
  expect(client.status.getSnapshot().rejected).toEqual([]);
  expect(left.queue.size).toBe(0);
});

test("I5: a group that a dying tab sent is sent again by its heir as the same group", async () => {
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
      if (!url.endsWith("/batch")) return response;
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

test("a group that is refused without a culprit is sent one by one, and told apart from what was sent alone", async () => {
  await using world = await createClientWorld();
  const { line, fetch } = createLine(world);
  const client = world.open({
    fetch: (url, init) =>
      url.endsWith("/batch") && !line.isCut
        ? Promise.resolve(
            Response.json({ code: "body_too_large", retry: "never" }, { status: 413 }),
          )
        : fetch(url, init),
  });
  const made = insertMany(client, 12);
  line.isCut = false;
  await client.synced();
  expect(await logOf(world)).toEqual(made.map(({ id }) => `insert ${id}`));
  expect(line.commits).toBe(12);
});

test("GAP-09: what a group made and deleted again is gone, for who sent it and who hears of it", async () => {
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
