/** What may have changed unseen is asked for by whoever watches it, also after a restart. */
import { expect, test } from "bun:test";
import { createCache } from "../../src/client/cache.ts";
import { dump, load, storedRecord } from "../../src/client/stored.ts";
import type { Cache } from "../../src/client/cache.ts";
import type { ChangeEvent } from "../../src/client/record.ts";
import { toQueryKey } from "../../src/client/query-key.ts";
import { answer, changed, createWorld, deleted, event, file, rules, watch } from "./world.ts";

const unseen: readonly (readonly [string, Partial<ChangeEvent>])[] = [
  ["a bulk", { bulk: { type: "file", scopes: [] } }],
  ["a change without content", { touched: [{ type: "file", id: "a" }] }],
];

/** The cache as a page finds it on disk, and what it asks for. */
function restart(cache: Cache) {
  const { cursor, doubts, records, queries } = dump(cache.state);
  const again = createCache({ rules });
  const asked: string[] = [];
  again.onStale = (_, refs) => asked.push(...refs.map(({ type, id }) => `${type}:${id}`));
  load(
    again.state,
    structuredClone({ cursor, doubts, records: [...records], queries: [...queries] }),
  );
  return { again, asked };
}

test.each(unseen)(
  "%s leaves its records in doubt, and a restart does not believe them (CACHE-17)",
  (_, parts) => {
    const { cache } = createWorld();
    cache.applyEvent(changed(6, file("a")));
    cache.applyEvent(event(7, parts));
    expect(cache.record("file", "a")).toMatchObject({ isKnown: false, data: file("a") });
    const { again, asked } = restart(cache);
    expect(again.record("file", "a")).toMatchObject({ isKnown: false, data: file("a") });
    again.subscribeRecord("file", "a", () => {});
    expect(asked).toEqual(["file:a"]);
    again.putMissing({ type: "file", id: "a" }, 7);
    expect(again.record("file", "a")).toMatchObject({ isKnown: true, data: null });
  },
);

test.each(unseen)("after %s only an answer that is new enough takes the doubt away", (_, parts) => {
  const { cache } = createWorld();
  cache.applyEvent(changed(6, file("a")));
  cache.applyEvent(event(8, { ...parts, span: 2 }));
  const { again } = restart(cache);
  again.putRecords([{ type: "file", record: file("a") }], 7);
  expect(again.record("file", "a").isKnown).toBe(false);
  again.putRecords([{ type: "file", record: file("a") }], 8);
  expect(restart(again).again.record("file", "a").isKnown).toBe(true);
});

test("what is in doubt is stored again, so that the disk doubts it too", () => {
  const { cache } = createWorld();
  cache.applyEvent(changed(6, file("a")));
  const dirty: string[] = [];
  cache.onDirty = ({ records }) => dirty.push(...records.map(({ id }) => id));
  cache.applyEvent(event(7, { touched: [{ type: "file", id: "a" }] }));
  expect(dirty).toEqual(["a"]);
  expect(storedRecord(cache.state, { type: "file", id: "a" })).toMatchObject({ doubtedBefore: 7 });
});

test("an answer older than a reset shows what it brings, but does not vouch for it (C6)", () => {
  const { cache } = createWorld(6);
  cache.putRecords([{ type: "file", record: file("a") }], 5);
  expect(cache.record("file", "a")).toMatchObject({ isKnown: false, data: file("a") });
});

test("an answer older than what was evicted is no news to the lists that followed it (CACHE-11)", () => {
  const limits = { records: 2, queries: 9, bytes: 1e6 };
  const { cache, list } = createWorld(5, { limits });
  const page = list("directory", { parentId: "p", limit: 1 }, []);
  cache.applyEvent(changed(6, file("c", { name: "0" })));
  cache.applyEvent(changed(7, file("c", { name: "z", version: 2 }), file("a")));
  cache.applyEvent(changed(8, file("x", { parentId: "x" })));
  expect(cache.record("file", "c").isKnown).toBe(false);
  cache.putRecords([{ type: "file", record: file("c", { name: "0" }) }], 6);
  expect(page.snapshot()).toMatchObject({ isStale: false, data: [file("a")] });
});

test("a record that was missing, came unseen and went again is gone (GAP-09)", () => {
  const { cache } = createWorld();
  cache.putMissing({ type: "file", id: "a" }, 5);
  cache.applyEvent(event(6, { touched: [{ type: "file", id: "a" }] }));
  cache.applyEvent(deleted(7, "a", 2));
  cache.putRecords([{ type: "file", record: file("a") }], 6);
  expect(cache.record("file", "a")).toMatchObject({ isKnown: true, data: null });
});

test("a restart remembers how far each type was learned, so that older answers are brought up to date", () => {
  const { cache } = createWorld();
  cache.putRecords([{ type: "file", record: file("a") }], 6);
  const { again } = restart(cache);
  again.applyEvent(changed(6, file("a")));
  const key = toQueryKey("directory", { parentId: "p" });
  again.putAnswer(key, answer([], 5), 0);
  expect(watch(again, key).ids()).toEqual(["a"]);
});
