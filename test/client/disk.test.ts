/**
 * Disks that are not there, go away or are full. A client says so and works on from memory; what it
 * cannot keep it sends, and it can be closed and signed out of like any other.
 */
import "fake-indexeddb/auto";
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openIndexedDb, openMemory } from "../../src/client/index.ts";
import type { MemoryDisk, Persistence } from "../../src/client/index.ts";
import { briskClock, createClientWorld, until } from "../support/client-world.ts";

const live = ({ connection }: { connection: string }) => connection === "live";

/** A browser that gives a page no database. */
function openNowhere(): Persistence {
  const { indexedDB } = globalThis;
  const inside = async <Result>(work: () => Result): Promise<Awaited<Result>> => {
    Reflect.deleteProperty(globalThis, "indexedDB");
    try {
      return await work();
    } finally {
      Object.assign(globalThis, { indexedDB });
    }
  };
  Reflect.deleteProperty(globalThis, "indexedDB");
  const disk = openIndexedDb({ name: "nowhere" });
  Object.assign(globalThis, { indexedDB });
  return { ...disk, destroy: () => inside(() => disk.destroy()) };
}

/** One that somebody deletes while it is open, as developer tools do. */
function openDeleted(): Persistence {
  const name = createId();
  const disk = openIndexedDb({ name });
  return {
    ...disk,
    load: async () => {
      const state = await disk.load();
      await new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase(`syncline:${name}`);
        request.addEventListener("success", () => resolve());
        request.addEventListener("error", () => reject(request.error ?? new Error("no reason")));
      });
      return state;
    },
  };
}

const album = {
  resource_type: "album",
  operation: "insert",
  id: createId(),
  data: { name: "Iceland" },
};
const room = { isFull: true };
/** One that has no room, until it has. */
function openFull(disk: MemoryDisk = createMemoryDisk()): Persistence {
  const memory = openMemory(disk);
  const full = async (): Promise<void> => {
    // As Chromium words it.
    if (room.isFull) throw new DOMException("", "QuotaExceededError");
  };
  return {
    ...memory,
    save: (step) => full().then(() => memory.save(step)),
    putMutations: (mutations) => full().then(() => memory.putMutations(mutations)),
    dropMutations: (ids) => full().then(() => memory.dropMutations(ids)),
  };
}

test.each([
  ["not there", openNowhere],
  ["deleted while it is open", openDeleted],
  ["full", openFull],
])(
  "a client whose disk is %s sends what it cannot keep, and ends like any other",
  async (_, open) => {
    for (const end of ["close", "signOut"] as const) {
      await using world = await createClientWorld();
      const codes = new Set<string>();
      const client = world.open({ persistence: open(), onProblem: ({ code }) => codes.add(code) });
      const list = client.query("album.list", {});
      list.subscribe(() => {});
      await client.insert("album", { name: "Iceland" }).done;
      await until(client.status, live);
      client.setOffline(true);
      const written = client.insert("album", { name: "Oslo" });
      expect(written.getSnapshot().state).toBe("saving");
      client.setOffline(false);
      await written.done;
      await until(list, ({ data }) => data.length === 2);
      expect([...codes]).toContain("storage_failed");
      await client[end]();
      expect(client.status.getSnapshot().connection).toBe("closed");
      expect(() => client.insert("album", { name: "too late" })).toThrow("closed");
    }
  },
);

test("a database that another window holds up is given up, and the client works without it", async () => {
  await using world = await createClientWorld();
  const name = createId();
  const opening = indexedDB.open(`syncline:${name}`);
  await new Promise((resolve) => opening.addEventListener("success", resolve));
  // Nobody closes the connection that this waits for, and whoever opens it waits for this.
  indexedDB.deleteDatabase(`syncline:${name}`);
  const details = new Set<string>();
  const client = world.open({
    persistence: openIndexedDb({ name }),
    onProblem: ({ detail }) => details.add(detail),
  });
  await client.insert("album", { name: "Iceland" }).done;
  await client.synced();
  expect([...details]).toEqual(["The disk failed: Nothing came within 30 s."]);
  await client.close();
  expect(client.status.getSnapshot().connection).toBe("closed");
  opening.result.close();
});

test("what a full disk cannot hold is not written again with each event", async () => {
  await using world = await createClientWorld();
  room.isFull = true;
  const waits: number[] = [];
  const clock = {
    ...briskClock,
    sleep: (ms: number) => {
      waits.push(ms);
      return briskClock.sleep(ms);
    },
  };
  const client = world.open({ clock, persistence: openFull() });
  client.query("album.list", {}).subscribe(() => {});
  await until(client.status, ({ problem }) => problem?.code === "storage_failed");
  waits.length = 0;
  await client.waitFor(await world.write(album));
  expect(waits).toEqual([30_000]);
});

test("a disk that has room again gets all that it missed", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  room.isFull = true;
  const details = new Set<string>();
  const client = world.open({
    persistence: openFull(disk),
    onProblem: ({ detail }) => details.add(detail),
  });
  client.query("album.list", {}).subscribe(() => {});
  for (const name of ["a", "b"]) await client.insert("album", { name }).done;
  await until(client.status, () => details.has("The disk failed: QuotaExceededError"));
  room.isFull = false;
  await client.insert("album", { name: "c" }).done;
  await client.close();
  expect([disk.meta?.cursor, disk.records.size, disk.queue.size]).toEqual([3, 3, 0]);
});
