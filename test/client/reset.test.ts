import { expect, test } from "bun:test";
import { statsOf } from "../../src/client/stats.ts";
import { createId } from "../../src/base/id.ts";
import { trimLog } from "../../src/log/retention.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import { createCache } from "../../src/client/cache.ts";
import { toQueryKey } from "../../src/client/query-key.ts";

const key = toQueryKey("album.list", {});
const album = (id: string, version: number) => ({
  type: "album",
  record: { id, version, name: `album ${id}`, description: null, coverId: null },
});
const insert = (id: string) => ({
  id: `m${id}`,
  apply: (draft: { insert(type: string, record: { id: string }): void }) =>
    draft.insert("album", album(id, 0).record),
});
const event = (sequence: number, id: string) => ({
  sequence,
  span: 1,
  epoch: 1,
  transactionId: `t${sequence}`,
  mutationId: `m${id}`,
  changed: [album(id, 1)],
  deleted: [],
  touched: [],
});

function openCache() {
  const cache = createCache({ rules: clientRules });
  cache.subscribeQuery(key, () => {});
  cache.start(0);
  const answer = { data: [], records: [], ttlMs: 1e6, scopes: [], types: ["album"] };
  cache.putAnswer(key, { ...answer, sequence: 0 }, 0);
  return { cache, ids: () => cache.query(key).data.map((one) => (one as { id: string }).id) };
}

test("a mutation that is taken back and made again in one step is shown once, whatever follows", () => {
  const { cache, ids } = openCache();
  cache.mutate(insert("a"));
  cache.batch(() => {
    cache.reject("ma");
    cache.mutate(insert("a"));
  });
  expect(ids()).toEqual(["a"]);
  cache.applyEvent(event(1, "a"));
  cache.confirm("ma", 1, [album("a", 1)]);
  expect(ids()).toEqual(["a"]);
});

test("a reset to another history with the same head forgets versions all the same", () => {
  const { cache } = openCache();
  cache.applyEvent(event(1, "a"));
  cache.start(1);
  expect(cache.record("album", "a").isKnown).toBe(false);
  cache.putRecords([{ type: "album", record: { ...album("a", 1).record, name: "other" } }], 1);
  expect(cache.record("album", "a").data).toMatchObject({ name: "other" });
});

test("a mutation that another history answered does not stay pending in this one", () => {
  const { cache, ids } = openCache();
  cache.mutate(insert("a"));
  cache.confirm("ma", 90);
  expect(ids()).toEqual(["a"]);
  cache.start(3);
  expect(statsOf(cache).pending).toBe(0);
});

test("a record that turns out not to exist is news to whoever watches it", () => {
  const { cache } = openCache();
  let count = 0;
  cache.subscribeRecord("album", "x", () => (count += 1));
  cache.putMissing({ type: "album", id: "x" }, 0);
  expect([count, cache.record("album", "x").isKnown]).toEqual([1, true]);
});

test("C6: a device that was away while the log was trimmed begins afresh, and keeps what it wrote", async () => {
  await using world = await createClientWorld();
  const { database, state } = world.library;
  const disk = createMemoryDisk();
  const open = (more: object = {}) => world.open({ persistence: openMemory(disk), ...more });
  const [kept, gone] = [createId(), createId()];
  await world.insertAlbum("kept", kept);
  await world.insertAlbum("gone", gone);
  const before = open();
  const list = before.query("album.list", {});
  list.subscribe(() => {});
  await until(list, ({ data }) => data.length === 2);
  await before.close();
  const away = open({ fetch: () => Promise.reject(new TypeError("no network")) });
  await away.ready;
  const handle = away.insert("album", { name: "written away" });
  await until(handle, ({ state: fate }) => fate === "queued");
  await away.close();

  await world.write({ resource_type: "album", operation: "delete", id: gone });
  await world.insertAlbum("new");
  const trimmed = await trimLog(database, state, {
    beforeMs: Date.now() + 1_000,
    activeSinceMs: 0,
  });
  expect(trimmed).toBe(4);
  expect(disk.meta?.cursor).toBe(2);

  const client = open();
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await client.ready;
  expect(albums.getSnapshot().data.map(({ id }) => id)).toContain(gone);
  await client.synced();
  const { data } = await until(albums, ({ isStale, isFetching }) => !isStale && !isFetching);
  expect(data.map(({ name }) => name)).toEqual(["kept", "new", "written away"]);
  expect(data.map(({ id }) => id)).toContain(kept);
  expect(client.status.getSnapshot().cursor).toBe(5);
  await client.close();
  expect(disk.records.get(`album:${gone}`)?.record ?? null).toBeNull();
  expect(disk.queue.size).toBe(0);
});
