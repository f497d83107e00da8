import "fake-indexeddb/auto";
import { expect, test } from "bun:test";
import type { ClientOptions } from "../../src/client/index.ts";
import { openIndexedDb } from "../../src/client/indexed-db.ts";
import { createMemoryDisk, openMemory } from "../../src/client/memory.ts";
import type { MemoryDisk } from "../../src/client/memory.ts";
import { toQueue, toRestored } from "../../src/client/restore.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import { persistenceSuite, step, storedAlbum, storedList } from "../suites/persistence.ts";

const disks = new Map<string, MemoryDisk>();
persistenceSuite("memory", (name) => {
  const disk = disks.get(name) ?? createMemoryDisk();
  disks.set(name, disk);
  return openMemory(disk);
});
persistenceSuite("IndexedDB", (name) => openIndexedDb({ name }));

test("a base of thousands is stored whole, and the page has its turn in between", async () => {
  const disk = openIndexedDb({ name: "large" });
  let read = 0;
  const rows = Array.from({ length: 2_000 }, (_, index) =>
    Object.defineProperty({ ...storedAlbum(`a${index}`) }, "whenRead", {
      enumerable: true,
      get: () => (read += 1),
    }),
  );
  const saved = disk.save(step(1, { records: rows })).then(() => true);
  const turn = () => new Promise<false>((resolve) => setTimeout(() => resolve(false), 0));
  let most = 0;
  for (let before = 0; !(await Promise.race([saved, turn()])); before = read) {
    most = Math.max(most, read - before);
  }
  expect(read).toBeGreaterThanOrEqual(2_000);
  expect(most).toBeLessThan(read / 2);
  expect((await disk.load()).records).toHaveLength(2_000);
  const droppedRecords = rows.map(({ type, id }) => ({ type, id }));
  await disk.save(step(2, { droppedRecords }));
  expect((await disk.load()).records).toEqual([]);
  await disk.destroy();
});

const rules = { queries: { "album.list": { returns: "album" } }, actions: {} };

test("PERSIST-05: damaged rows are left out, and what they belonged to is asked for again", async () => {
  const disk = openMemory();
  await disk.save(step(3, { records: [storedAlbum("a")], queries: [storedList(["a", "b"])] }));
  const state = await disk.load();
  const damaged = { ...state, records: [...state.records, { type: "album", id: "b" }, 7] };
  const restored = toRestored(damaged, rules);
  expect(restored).toMatchObject({
    damagedCount: 2,
    cache: {
      cursor: 3,
      records: [storedAlbum("a")],
      queries: [{ data: ["a"], isStale: true, isComplete: false }],
    },
  });
});

test("PERSIST-05: a base whose cursor or origin cannot be read is none", () => {
  const state = { records: [storedAlbum("a")], queries: [] };
  for (const meta of [undefined, null, 7, {}, { cursor: 1 }, { cursor: "1", historyId: "h" }])
    expect(toRestored({ ...state, meta }, rules)).toBeNull();
});

test("a damaged mutation is counted, not sent", () => {
  const good = { id: "a", request: { kind: "action" as const, name: "x.y", input: {} } };
  expect(toQueue([good, { id: 3 }, null])).toEqual({ mutations: [good], damagedCount: 2 });
});

const whole = { limit: 500 };

/** A client whose list of albums, all of them long, came whole in one answer. */
async function openFull(disk: MemoryDisk, more: Partial<ClientOptions>) {
  const world = await createClientWorld();
  const client = world.open({ persistence: openMemory(disk), ...more });
  const albums = client.query("album.list", whole);
  albums.subscribe(() => {});
  const description = "long ".repeat(100);
  await client.batch(
    Array.from({ length: 200 }, (_, index) => ({
      operation: "insert" as const,
      type: "album" as const,
      data: { name: `album ${String(index).padStart(3, "0")}`, description },
    })),
  ).done;
  await until(albums, ({ data, isStale }) => data.length === 200 && !isStale);
  return { world, client };
}

const bytesOn = ({ records }: MemoryDisk): number =>
  [...records.values()].reduce((sum, { record }) => sum + JSON.stringify(record).length, 0);

test("PERSIST-06: what is on disk stays within its bound, and what was left out is asked for again", async () => {
  const disk = createMemoryDisk();
  const bound = 50_000;
  const { world, client } = await openFull(disk, { diskBytesMax: bound });
  await using _ = world;
  const shown = client.query("album.list", whole).getSnapshot().data;
  await client.close();
  expect(bytesOn(disk)).toBeLessThanOrEqual(bound);
  expect(bytesOn(disk)).toBeGreaterThan(bound / 2);
  // Further changes push out what was written longest ago.
  const again = world.open({ persistence: openMemory(disk), diskBytesMax: bound });
  const albums = again.query("album.list", whole);
  albums.subscribe(() => {});
  await again.ready;
  expect(albums.getSnapshot().isStale).toBe(true);
  const { data } = await until(albums, ({ isStale }) => !isStale);
  expect(data).toEqual(shown);
  const last = shown.at(-1)!.id;
  await again.update("album", last, { name: "album 999" }).done;
  await again.synced();
  await again.close();
  expect(bytesOn(disk)).toBeLessThanOrEqual(bound);
  expect(disk.records.get(`album:${last}`)?.record?.["name"]).toBe("album 999");
});

test("PERSIST-06: without another wish the bound is 50 MB", async () => {
  const disk = createMemoryDisk();
  const memory = openMemory(disk);
  const bounds: number[] = [];
  await using world = await createClientWorld();
  world.open({
    persistence: {
      ...memory,
      keep: (own, parts) => {
        bounds.push(parts.bytesMax);
        return memory.keep(own, parts);
      },
    },
  });
  expect(bounds).toEqual([50_000_000]);
});
