import "fake-indexeddb/auto";
import { expect, test } from "bun:test";
import { openIndexedDb } from "../../src/client/indexed-db.ts";
import { createMemoryDisk, openMemory } from "../../src/client/memory.ts";
import type { MemoryDisk } from "../../src/client/memory.ts";
import { toQueue, toRestored } from "../../src/client/restore.ts";
import { persistenceSuite, step, storedAlbum, storedList } from "../suites/persistence.ts";

const disks = new Map<string, MemoryDisk>();
persistenceSuite("memory", (name) => {
  const disk = disks.get(name) ?? createMemoryDisk();
  disks.set(name, disk);
  return openMemory(disk);
});
persistenceSuite("IndexedDB", (name) => openIndexedDb({ name }));

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
