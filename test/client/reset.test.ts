import { expect, test } from "bun:test";
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
  expect(cache.stats().pending).toBe(0);
});

test("a record that turns out not to exist is news to whoever watches it", () => {
  const { cache } = openCache();
  let count = 0;
  cache.subscribeRecord("album", "x", () => (count += 1));
  cache.putMissing({ type: "album", id: "x" }, 0);
  expect([count, cache.record("album", "x").isKnown]).toEqual([1, true]);
});
