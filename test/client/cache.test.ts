import { expect, spyOn, test } from "bun:test";
import { statsOf } from "../../src/client/stats.ts";
import { createCache } from "../../src/client/cache.ts";
import { dump, load } from "../../src/client/stored.ts";
import { toQueryKey } from "../../src/client/query-key.ts";
import { answer, changed, createWorld, deleted, event, file, rules, watch } from "./world.ts";

const p = { parentId: "p" };

test("an event changes the lists that hold the record and tells each once (CACHE-03, REACT-08)", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", p, [file("a"), file("b")]);
  const other = list("directory", { parentId: "q" }, [file("x", { parentId: "q" })]);
  const before = directory.data();
  expect(cache.applyEvent(changed(6, file("a", { name: "a2", version: 2 })))).toBe("applied");
  expect(directory.names()).toEqual(["a2", "b"]);
  expect(directory.data()[1]).toBe(before[1]!);
  expect([directory.calls(), other.calls()]).toEqual([1, 0]);
});

test("a listener that follows many records is called once for an event of all of them", () => {
  const { cache, list } = createWorld();
  list("directory", p, [file("a"), file("b")]);
  let calls = 0;
  const listener = () => (calls += 1);
  cache.subscribeRecord("file", "a", listener);
  cache.subscribeRecord("file", "b", listener);
  cache.applyEvent(changed(6, file("a", { version: 2 }), file("b", { version: 2 })));
  expect(calls).toBe(1);
});

test("a doubled event changes nothing and a missing one is told, not skipped (EVT-19, EVT-20, CACHE-30)", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", p, [file("a")]);
  const first = changed(6, file("a", { name: "z", version: 2 }));
  expect([first, first, changed(8, file("b"))].map((one) => cache.applyEvent(one))).toEqual([
    "applied",
    "duplicate",
    "gap",
  ]);
  expect([cache.cursor, directory.calls()]).toEqual([6, 1]);
  expect(directory.ids()).toEqual(["a"]);
});

test("a reply that changed nothing brings nothing back that was deleted since (I7)", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", p, [file("a")]);
  cache.applyEvent(deleted(6, "a", 2));
  cache.applyEvent(changed(7, file("b")));
  cache.confirm("m", null, [{ type: "file", record: file("a") }]);
  expect(directory.ids()).toEqual(["b"]);
});

test("a record is inserted, moved and removed in place, without asking again (GAP-07)", () => {
  const { cache, list, asked } = createWorld();
  const directory = list("directory", p, [file("b"), file("d")]);
  cache.applyEvent(changed(6, file("c")));
  expect(directory.ids()).toEqual(["b", "c", "d"]);
  cache.applyEvent(changed(7, file("b", { name: "e", version: 2 })));
  expect(directory.ids()).toEqual(["c", "d", "b"]);
  cache.applyEvent(changed(8, file("c", { parentId: "q", version: 2 })));
  cache.applyEvent(deleted(9, "d", 2));
  expect(directory.ids()).toEqual(["b"]);
  expect(asked()).toEqual([]);
});

test("a full page that loses a record asks for its next one, a short page knows that it is whole", () => {
  const { cache, list, asked } = createWorld();
  const full = list("directory", { ...p, limit: 2 }, [file("a"), file("b")]);
  const short = list("directory", { ...p, limit: 5 }, [file("a"), file("b")]);
  cache.applyEvent(deleted(6, "a", 2));
  expect(asked()).toEqual([full.key.text]);
  expect([full.ids(), short.ids()]).toEqual([["b"], ["b"]]);
  cache.putAnswer(full.key, answer([file("b"), file("c")], 6), 0);
  expect(full.snapshot()).toMatchObject({ isStale: false, isFetching: false });
  expect(full.ids()).toEqual(["b", "c"]);
});

test("without a rule a list is asked for once, however many events come before its answer", () => {
  const { cache, list, asked } = createWorld();
  const search = list("search", {}, [file("a")]);
  for (const sequence of [6, 7, 8]) cache.applyEvent(changed(sequence, file(`n${sequence}`)));
  expect(asked()).toEqual([search.key.text]);
  cache.putAnswer(search.key, answer([file("a")], 7), 0);
  expect(asked()).toEqual([search.key.text]);
  cache.putAnswer(search.key, answer([file("a"), file("n8")], 8), 0);
  expect(asked()).toEqual([]);
  expect(search.snapshot().isStale).toBe(false);
});

test("an old answer neither overwrites a newer record nor revives a deleted one (GAP-09)", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", p, [file("a"), file("b")]);
  cache.applyEvent(changed(6, file("a", { name: "new", version: 2 })));
  cache.applyEvent(deleted(7, "b"));
  cache.putAnswer(toQueryKey("search"), answer([file("a"), file("b")], 5), 0);
  cache.putAnswer(directory.key, answer([file("a"), file("b")], 5), 0);
  expect(directory.names()).toEqual(["new"]);
  expect(cache.record("file", "b")).toMatchObject({ data: null, isPending: false, isKnown: true });
});

test("an optimistic change turns into the confirmed one without a flash, reply or event first (OPT-05)", () => {
  for (const isReplyFirst of [true, false]) {
    const { cache, list } = createWorld();
    const directory = list("directory", p, [file("a"), file("b")]);
    const seen: unknown[] = [];
    cache.subscribeQuery(directory.key, () => seen.push(directory.names().join()));
    cache.mutate({ id: "m", apply: (draft) => draft.update("file", "a", { name: "c" }) });
    const steps = [
      () => cache.confirm("m", 6),
      () =>
        cache.applyEvent({ ...changed(6, file("a", { name: "c", version: 2 })), mutationId: "m" }),
    ];
    for (const step of isReplyFirst ? steps : steps.toReversed()) step();
    expect(new Set(seen)).toEqual(new Set(["b,c"]));
    expect(cache.record("file", "a")).toMatchObject({ data: { version: 2 }, isPending: false });
    expect(statsOf(cache).pending).toBe(0);
  }
});

test("of several pending changes to one record any may fail, and the others stay (OPT-03, OPT-07)", () => {
  for (const failed of ["m1", "m2", "m3"]) {
    const { cache, list } = createWorld();
    list("directory", p, [file("a")]);
    const fields: Record<string, object> = { m1: { name: "n" }, m2: { size: 2 }, m3: { tag: 3 } };
    for (const [id, change] of Object.entries(fields))
      cache.mutate({ id, apply: (draft) => draft.update("file", "a", { ...change }) });
    cache.reject(failed);
    const kept = Object.entries(fields).filter(([id]) => id !== failed);
    const expected = Object.assign({}, file("a"), ...kept.map(([, change]) => change));
    expect(cache.record("file", "a").data).toEqual(expected);
  }
});

test("an optimistic record appears in its place and is pending; a mutation that throws leaves nothing (OPT-09)", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", p, [file("a"), file("c")]);
  cache.mutate({ id: "m", apply: (draft) => draft.insert("file", file("b")) });
  expect(directory.ids()).toEqual(["a", "b", "c"]);
  expect(cache.record("file", "b").isPending).toBe(true);
  const fail = () => {
    throw new Error("no");
  };
  expect(() =>
    cache.mutate({ id: "bad", apply: (draft) => (draft.delete("file", "a"), fail()) }),
  ).toThrow("no");
  expect(directory.ids()).toEqual(["a", "b", "c"]);
  cache.reject("m");
  expect(directory.ids()).toEqual(["a", "c"]);
});

test("a bulk operation makes only the queries of its type and scopes stale (CACHE-17, X-25)", () => {
  const { cache, asked } = createWorld();
  for (const scope of ["l1", "l2"]) {
    const key = toQueryKey("directory", { parentId: scope });
    cache.putAnswer(key, answer([], 5, { scopes: [scope] }), 0);
    watch(cache, key);
  }
  cache.applyEvent(event(6, { bulk: { type: "file", scopes: ["l1"] } }));
  expect(asked()).toEqual([toQueryKey("directory", { parentId: "l1" }).text]);
});

test("an answer is fresh until its time is over, then shown while it is asked for again (CACHE-10, PERSIST-08)", () => {
  const { cache, list, asked } = createWorld();
  const search = list("search", {}, [file("a")]);
  cache.subscribeQuery(search.key, () => {}, { now: 299_999 });
  expect(asked()).toEqual([]);
  cache.expire(299_999);
  expect(asked()).toEqual([]);
  cache.expire(300_000);
  expect(asked()).toEqual([search.key.text]);
  expect(search.ids()).toEqual(["a"]);
  const other = list("search", { text: "x" }, []);
  cache.subscribeQuery(other.key, () => {}, { now: 300_000 });
  expect(asked()).toEqual([other.key.text]);
});

test("a reader may always ask, or never (CACHE-22)", () => {
  const { cache, asked } = createWorld();
  const key = toQueryKey("search", {});
  cache.subscribeQuery(key, () => {}, { policy: "cache-only" });
  expect(cache.query(key)).toMatchObject({ status: "loading", isFetching: false });
  cache.putAnswer(key, answer([file("a")], 5), 0);
  cache.invalidate({ query: key });
  expect([asked(), cache.query(key).isStale]).toEqual([[], true]);
  const end = cache.subscribeQuery(key, () => {});
  expect(asked()).toEqual([key.text]);
  cache.putAnswer(key, answer([file("a")], 5), 0);
  end();
  end();
  cache.invalidate();
  expect(asked()).toEqual([]);
  cache.putAnswer(key, answer([file("a")], 5), 0);
  cache.subscribeQuery(key, () => {}, { policy: "network-only" });
  expect([asked(), cache.query(key).data]).toEqual([[key.text], [file("a")]]);
});

test("20,000 records shrink to 9,000 of the bound, and what is watched stays (CACHE-11, CACHE-12, X-27)", () => {
  const { cache, list } = createWorld();
  list("directory", p, [file("a")]);
  for (let page = 0; page < 20; page += 1) {
    const records = Array.from({ length: 1_000 }, (_, index) => file(`r${page}-${index}`));
    cache.putRecords(
      records.map((record) => ({ type: "file", record })),
      5,
    );
    expect(statsOf(cache).records).toBeLessThanOrEqual(10_000);
  }
  expect(statsOf(cache).records).toBeGreaterThanOrEqual(9_000);
  expect(cache.record("file", "a").isKnown).toBe(true);
  expect(cache.record("file", "r0-0").isKnown).toBe(false);
});

test("large records shrink to nine tenths of the bytes; what is watched stays, and is not looked through at each step (CACHE-16)", () => {
  const limits = { bytes: 1_000_000 };
  const { cache } = createWorld(5, { limits });
  const large = (id: string) => file(id, { text: "x".repeat(5_000) });
  const put = (id: string) => cache.putRecords([{ type: "file", record: large(id) }], 5);
  for (let n = 0; n < 300; n += 1) put(`r${n}`);
  expect(statsOf(cache).bytes).toBeLessThanOrEqual(limits.bytes);
  expect(statsOf(cache).bytes).toBeGreaterThan(limits.bytes * 0.8);
  const shown = Array.from({ length: 300 }, (_, index) => large(`s${index}`));
  const key = toQueryKey("search", {});
  watch(cache, key);
  cache.putAnswer(key, answer(shown, 5), 0);
  expect(statsOf(cache)).toMatchObject({ records: 300, isOverBounds: true });
  const nodes = cache.state.types.get("file")?.nodes ?? new Map();
  const look = spyOn(nodes, "values");
  for (const { id } of shown)
    cache.applyEvent(changed(cache.cursor + 1, { ...large(id), version: 2 }));
  expect(look).toHaveBeenCalledTimes(0);
});

test("beyond 100 queries the least used without subscribers go (CACHE-14)", () => {
  const { cache, list } = createWorld();
  const first = list("search", { n: -1 }, []);
  for (let n = 0; n < 150; n += 1) cache.putAnswer(toQueryKey("search", { n }), answer([], 5), 0);
  expect(statsOf(cache).queries).toBe(100);
  expect(first.snapshot().status).toBe("ready");
});

test("an event costs only what it touches, with ten live lists or a thousand", () => {
  const workFor = (count: number) => {
    const { cache } = createWorld(5, { limits: { queries: 2_000 } });
    for (let n = 0; n < count; n += 1) {
      const key = toQueryKey("directory", { parentId: `p${n}` });
      cache.putAnswer(key, answer([file(`f${n}`, { parentId: `p${n}` })], 5), 0);
      watch(cache, key);
    }
    const before = statsOf(cache).work;
    cache.applyEvent(changed(6, file("f3", { parentId: "p3", version: 2 })));
    const { matched, rebuilt, notified } = statsOf(cache).work;
    return [matched - before.matched, rebuilt - before.rebuilt, notified - before.notified];
  };
  expect(workFor(10)).toEqual([1, 1, 1]);
  expect(workFor(1_000)).toEqual([1, 1, 1]);
});

test("what is stored answers queries at once after a restart, and the stream goes on (DD-03, PERSIST-08)", () => {
  const { cache, list } = createWorld();
  const key = list("directory", p, [file("a"), file("b")]).key;
  const again = createCache({ rules });
  load(again.state, structuredClone(dump(cache.state)));
  expect(again.query(key)).toMatchObject({
    status: "ready",
    isStale: false,
    data: [file("a"), file("b")],
  });
  expect(again.applyEvent(changed(6, file("aa")))).toBe("applied");
  expect(again.query(key).data).toHaveLength(3);
});

test("after a reset the old is shown as stale until it is answered, whatever its versions were", () => {
  const { cache, list, asked } = createWorld();
  const directory = list("directory", p, [file("a", { version: 9 })]);
  cache.start(2);
  expect(directory.snapshot()).toMatchObject({ isStale: true, data: [file("a", { version: 9 })] });
  expect(asked()).toEqual([directory.key.text]);
  cache.putAnswer(directory.key, answer([file("a", { version: 1 })], 2), 0);
  expect(directory.data()).toEqual([file("a", { version: 1 })]);
});

test("a record that exists only here is not asked for; once it is refused, it is", () => {
  const { cache, asked } = createWorld();
  cache.mutate({ id: "m", apply: (draft) => draft.insert("file", file("a")) });
  cache.subscribeRecord("file", "a", () => {});
  expect(cache.record("file", "a")).toMatchObject({ data: { version: 0 }, isPending: true });
  expect(asked()).toEqual([]);
  cache.reject("m");
  expect(asked()).toEqual(["file:a"]);
});

test("a new record is whole at once: what an insert leaves out is null (OPT-05)", () => {
  const { cache } = createWorld(5, { rules: { ...rules, absent: { file: { note: null } } } });
  cache.mutate({ id: "m", apply: (draft) => draft.insert("file", file("a")) });
  expect(cache.record("file", "a").data).toEqual({ ...file("a"), version: 0, note: null });
});

test("a list without an order keeps showing a new record while its place is asked for (OPT-05)", () => {
  for (const isReplyFirst of [true, false]) {
    const { cache, list, asked } = createWorld();
    const large = list("large", { size: 1 }, [file("b")]);
    const seen: string[] = [];
    cache.subscribeQuery(large.key, () => seen.push(large.ids().join()));
    cache.mutate({ id: "m", apply: (draft) => draft.insert("file", file("a")) });
    const typed = [{ type: "file", record: file("a") }];
    const steps = [
      () => cache.confirm("m", 6, typed),
      () => cache.applyEvent({ ...changed(6, file("a")), mutationId: "m" }),
    ];
    for (const step of isReplyFirst ? steps : steps.toReversed()) step();
    expect(asked()).toEqual([large.key.text]);
    cache.putAnswer(large.key, answer([file("a"), file("b")], 6), 0);
    expect([...new Set(seen)]).toEqual(["b,a", "a,b"]);
    expect(large.snapshot().isStale).toBe(false);
  }
});

test("a refused record is asked for when a bulk came in the meantime (CACHE-17, OPT-03)", () => {
  const { cache, asked } = createWorld();
  cache.subscribeRecord("file", "a", () => {});
  cache.putMissing({ type: "file", id: "a" }, 5);
  asked();
  cache.mutate({ id: "m", apply: (draft) => draft.insert("file", file("a")) });
  cache.applyEvent(event(6, { bulk: { type: "file", scopes: [] } }));
  cache.reject("m");
  expect(asked()).toEqual(["file:a"]);
});

test("a bulk of a history that is gone casts no doubt on the next one (CACHE-17)", () => {
  const { cache } = createWorld();
  cache.applyEvent(event(6, { bulk: { type: "file", scopes: [] } }));
  cache.start(1);
  cache.putRecords([{ type: "file", record: file("a") }], 1);
  expect(cache.record("file", "a")).toMatchObject({ isKnown: true, data: file("a") });
});

test("what failed and is looked at by nobody is asked for by whoever looks next, once the service is back", () => {
  const { cache, asked } = createWorld();
  const key = toQueryKey("search");
  cache.noteQuery(key, "away");
  expect(cache.query(key)).toMatchObject({ status: "error", problem: "away" });
  cache.askAll();
  expect(cache.query(key)).toMatchObject({ status: "loading", problem: null });
  expect(asked()).toEqual([]);
  watch(cache, key);
  expect(asked()).toEqual([key.text]);
});

test("a write into a list costs the same with a thousand waiting as with ten, and so does its answer", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", { parentId: "p" }, [file("b"), file("d")]);
  const { work } = statsOf(cache);
  const matchedBy = (one: () => void): number => {
    const before = work.matched;
    one();
    return work.matched - before;
  };
  const insert = (id: string) =>
    cache.mutate({ id: `m${id}`, apply: (draft) => draft.insert("file", file(id)) });
  const costs = Array.from({ length: 1_000 }, (_, at) => matchedBy(() => insert(`c${at}`)));
  expect(Math.max(...costs.slice(10))).toBeLessThanOrEqual(3);
  const rename = () =>
    cache.mutate({ id: "r", apply: (draft) => draft.update("file", "b", { name: "e" }) });
  expect(matchedBy(rename)).toBeLessThanOrEqual(4);
  expect(directory.names().slice(-2)).toEqual(["d", "e"]);
  expect(matchedBy(() => cache.reject("mc7"))).toBeLessThanOrEqual(4);
  const pending = Array.from({ length: 1_000 }, (_, at) => `c${at}`).filter((id) => id !== "c7");
  expect(directory.names()).toEqual([...pending.toSorted(), "d", "e"]);
});
