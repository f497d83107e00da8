/**
 * The cache against a naive oracle that recomputes everything: events in order, doubled or missing,
 * answers of any age, optimistic changes confirmed by reply or event first, or rejected. After each
 * step the lists equal the oracle's, what is equal keeps its identity, and each subscriber was told
 * at most once and never without a change.
 */
import { expect, test } from "bun:test";
import { statsOf } from "../../src/client/stats.ts";
import * as fc from "fast-check";
import { changed, deleted, answer, watch } from "./world.ts";
import { createCache } from "../../src/client/cache.ts";
import { toQueryKey } from "../../src/client/query-key.ts";
import { createOracle, createServer, select } from "./oracle.ts";
import type { Change, Entry, ListShape } from "./oracle.ts";
import type { Cache } from "../../src/client/cache.ts";
import type { ClientRecord } from "../../src/client/record.ts";
import type { ClientRules, Draft } from "../../src/client/rules.ts";

const byName: ListShape["compare"] = (left, right) =>
  String(left["name"]) < String(right["name"]) ? -1 : left["name"] === right["name"] ? 0 : 1;
const bySize: ListShape["compare"] = (left, right) => Number(right["size"]) - Number(left["size"]);

const shapes: Readonly<Record<string, ListShape>> = {
  "ruled p": { matches: ({ parentId }) => parentId === "p", compare: byName, limit: Infinity },
  "ruled q": { matches: ({ parentId }) => parentId === "q", compare: byName, limit: Infinity },
  page: { matches: () => true, compare: bySize, limit: 3 },
  plain: { matches: () => true, compare: bySize, limit: Infinity },
};

const rules: ClientRules = {
  queries: {
    ruled: {
      returns: "file",
      partition: ["parentId"],
      matches: (record, input) => record.parentId === input.parentId,
      compare: byName,
    },
    page: { returns: "file", matches: () => true, compare: bySize, limit: () => 3 },
    plain: { returns: "file" },
  },
  actions: {},
};

const keys: Readonly<Record<string, ReturnType<typeof toQueryKey>>> = {
  "ruled p": toQueryKey("ruled", { parentId: "p" }),
  "ruled q": toQueryKey("ruled", { parentId: "q" }),
  page: toQueryKey("page"),
  plain: toQueryKey("plain"),
};

const ids = ["a", "b", "c", "d", "e", "f"];

interface Watched {
  readonly name: string;
  readonly shape: ListShape;
  readonly list: ReturnType<typeof watch>;
  /** The sequence of the answer it rests on. */
  answeredAt: number;
  newestAnswer: number;
  data: readonly ClientRecord[];
  /** Deleted since its answer: without a rule they do not come back before the next. */
  readonly gone: Set<string>;
}

function writeInto(draft: Draft, change: Change): void {
  if (change.kind === "delete") draft.delete("file", change.id);
  else if (draft.get("file", change.id) === null)
    draft.insert("file", { name: "n", parentId: "p", size: 1, ...change.fields, id: change.id });
  else draft.update("file", change.id, change.fields);
}

function createModel() {
  const server = createServer();
  const oracle = createOracle();
  const cache: Cache = createCache({ rules });
  cache.start(0);
  const watched: Watched[] = Object.entries(shapes).map(([name, shape]) => {
    const list = watch(cache, keys[name]!);
    return {
      name,
      shape,
      list,
      answeredAt: -1,
      newestAnswer: -1,
      data: list.data(),
      gone: new Set(),
    };
  });
  return { server, oracle, cache, watched, mutationCount: 0, newestReply: 0, sent: [] as Sent[] };
}

interface Sent {
  readonly id: string;
  readonly change: Change;
  entry: Entry | null | undefined;
}
type Model = ReturnType<typeof createModel>;

function toEvent({ sequence, mutationId, id, known }: Entry, isVersioned: boolean) {
  const own = mutationId === undefined ? {} : { mutationId };
  return known.record === null
    ? { ...deleted(sequence, id, isVersioned ? known.version : 0), ...own }
    : { ...changed(sequence, known.record), ...own };
}

function deliver(model: Model, entry: Entry, isVersioned: boolean): void {
  const { cache, oracle } = model;
  const isNext = entry.sequence === oracle.cursor() + 1;
  const expected = isNext ? "applied" : entry.sequence > oracle.cursor() ? "gap" : "duplicate";
  expect(cache.applyEvent(toEvent(entry, isVersioned))).toBe(expected);
  if (!isNext) return;
  for (const one of oracle.pending()) if (one.isSeen) oracle.drop(one.id);
  oracle.learn(entry.id, entry.known);
  const own = oracle.find(entry.mutationId ?? "");
  if (own !== undefined) own.isSettled = own.isSeen = true;
  oracle.moveTo(entry.sequence);
}

function answerAt(model: Model, watched: Watched, sequence: number): void {
  const { cache, oracle, server } = model;
  const state = [...server.at(sequence).values()].map(({ record }) => record);
  const records = select(state, watched.shape);
  const isTracked = !watched.list.snapshot().isStale;
  const known = isTracked ? Math.max(watched.answeredAt, oracle.cursor()) : watched.answeredAt;
  cache.putAnswer(watched.list.key, answer(records, sequence), 0);
  for (const record of records) oracle.learn(record.id, { version: record.version, record });
  if (sequence >= known) {
    watched.answeredAt = sequence;
    watched.gone.clear();
  }
  watched.newestAnswer = Math.max(watched.newestAnswer, sequence);
}

/** A list from scratch: the newer of the answer's state and what is known, record by record. */
function expectedIds(model: Model, watched: Watched): string[] | null {
  const { oracle, server } = model;
  const { views, overlaid } = oracle.views();
  const answered = server.at(Math.max(watched.answeredAt, 0));
  if (watched.answeredAt < 0) {
    return [];
  }
  if (watched.name === "page") return null;
  const base = ids.map((id) => {
    const [then, now] = [answered.get(id), oracle.base.get(id)];
    return (now?.version ?? 0) > (then?.version ?? 0) ? now : then;
  });
  if (watched.name === "plain") {
    const then = select(
      [...answered.values()].map(({ record }) => record),
      watched.shape,
    );
    for (const [id, { record }] of oracle.base) if (record === null) watched.gone.add(id);
    const isShown = (id: string) => (views.get(id) ?? null) !== null && !watched.gone.has(id);
    return then.map(({ id }) => id).filter(isShown);
  }
  const shown = ids.map((id, index) => (overlaid.has(id) ? views.get(id) : base[index]?.record));
  return select(
    shown.map((record) => record ?? null),
    watched.shape,
  ).map(({ id }) => id);
}

function checkList(model: Model, watched: Watched): void {
  const { list, shape } = watched;
  const { oracle, server, cache } = model;
  const data = list.data();
  const { views } = oracle.views();
  const expected = expectedIds(model, watched);
  if (expected !== null)
    expect({ [watched.name]: list.ids() }).toEqual({ [watched.name]: expected });
  for (const record of data) {
    expect(record).toEqual(views.get(record.id)!);
    expect(cache.record("file", record.id).data).toBe(record);
  }
  expect(data.length <= shape.limit).toBe(true);
  // When nothing is pending and no answer was ahead of the stream, fresh means exact.
  const isAhead = model.watched.some(({ newestAnswer }) => newestAnswer > oracle.cursor());
  const isAlone = oracle.pending().length === 0 && !isAhead && model.newestReply <= oracle.cursor();
  if (!list.snapshot().isStale && isAlone) {
    const state = [...server.at(oracle.cursor()).values()].map(({ record }) => record);
    expect(list.ids()).toEqual(select(state, shape).map(({ id }) => id));
  }
}

function checkIdentity(watched: Watched, calls: number): void {
  const data = watched.list.data();
  if (Bun.deepEquals(data, watched.data)) expect(data).toBe(watched.data);
  for (const record of data) {
    const before = watched.data.find(({ id }) => id === record.id);
    if (before !== undefined && Bun.deepEquals(before, record)) expect(record).toBe(before);
  }
  expect(calls <= 1).toBe(true);
  watched.data = data;
}

/** Runs one step and checks all that must hold after each. */
function step(model: Model, work: () => void): void {
  const before = model.watched.map(({ list }) => ({
    snapshot: list.snapshot(),
    calls: list.calls(),
  }));
  work();
  model.watched.forEach((watched, index) => {
    const was = before[index]!;
    const calls = watched.list.calls() - was.calls;
    expect(calls).toBe(watched.list.snapshot() === was.snapshot ? 0 : 1);
    checkIdentity(watched, calls);
    checkList(model, watched);
  });
  expect(model.cache.cursor).toBe(model.oracle.cursor());
  expect(statsOf(model.cache).pending <= model.oracle.pending().length).toBe(true);
}

type Command = fc.Command<Record<string, never>, { model: Model }>;

function command(title: string, work: (model: Model) => void): Command {
  return {
    check: () => true,
    run: (_, { model }) => step(model, () => work(model)),
    toString: () => title,
  };
}

const change: fc.Arbitrary<Change> = fc.record({
  id: fc.constantFrom(...ids),
  kind: fc.constantFrom("put", "put", "put", "delete" as const),
  fields: fc.record(
    {
      name: fc.constantFrom("k", "l", "m", "n"),
      parentId: fc.constantFrom("p", "q"),
      size: fc.integer({ min: 1, max: 4 }),
    },
    { requiredKeys: [] },
  ),
});

const share = fc.integer({ min: 0, max: 99 });
const pick = <Item>(items: readonly Item[], at: number): Item | undefined =>
  items[Math.floor((at / 100) * items.length)];

const commands: fc.Arbitrary<Command>[] = [
  change.map((one) =>
    command(`commit ${JSON.stringify(one)}`, ({ server }) => void server.commit(one)),
  ),
  fc.boolean().map((isVersioned) =>
    command("next event", (model) => {
      const entry = model.server.log[model.oracle.cursor()];
      if (entry !== undefined) deliver(model, entry, isVersioned);
    }),
  ),
  fc.tuple(share, fc.boolean()).map(([at, isVersioned]) =>
    command(`any event ${at}`, (model) => {
      const entry = pick(model.server.log, at);
      if (entry !== undefined) deliver(model, entry, isVersioned);
    }),
  ),
  fc.tuple(share, share).map(([which, at]) =>
    command(`answer ${which} as of ${at}`, (model) => {
      const watched = pick(model.watched, which)!;
      answerAt(model, watched, Math.round((at / 99) * model.server.head()));
    }),
  ),
  share.map((which) =>
    command(`answer ${which} as of now`, (model) =>
      answerAt(model, pick(model.watched, which)!, model.server.head()),
    ),
  ),
  change.map((one) =>
    command(`mutate ${JSON.stringify(one)}`, (model) => {
      const id = `m${(model.mutationCount += 1)}`;
      model.oracle.add(id, one);
      model.sent.push({ id, change: one, entry: undefined });
      model.cache.mutate({ id, apply: (draft) => writeInto(draft, one) });
    }),
  ),
  share.map((at) =>
    command(`server takes mutation ${at}`, ({ sent, server }) => {
      const one = pick(
        sent.filter(({ entry }) => entry === undefined),
        at,
      );
      if (one !== undefined) one.entry = server.commit(one.change, one.id);
    }),
  ),
  fc.tuple(share, fc.boolean()).map(([at, hasRecords]) =>
    command(`reply ${at}${hasRecords ? " with records" : ""}`, (model) => {
      const { sent, cache, oracle } = model;
      const one = pick(
        sent.filter(({ entry }) => entry !== undefined),
        at,
      );
      if (one?.entry === undefined) return;
      sent.splice(sent.indexOf(one), 1);
      const { entry, id } = one;
      if (entry === null) {
        cache.confirm(id, null);
        oracle.drop(id);
        return;
      }
      const { record } = entry.known;
      const isKnown = hasRecords && record !== null;
      cache.confirm(id, entry.sequence, isKnown ? [{ type: "file", record }] : []);
      model.newestReply = Math.max(model.newestReply, entry.sequence);
      const own = oracle.find(id);
      if (isKnown) oracle.learn(entry.id, entry.known);
      if (own === undefined) return;
      own.sequence = entry.sequence;
      own.isSettled ||= isKnown;
      oracle.moveTo(oracle.cursor());
    }),
  ),
  share.map((at) =>
    command(`reject ${at}`, ({ sent, cache, oracle }) => {
      const one = pick(
        sent.filter(({ entry }) => entry === undefined),
        at,
      );
      if (one === undefined) return;
      sent.splice(sent.indexOf(one), 1);
      cache.reject(one.id);
      oracle.drop(one.id);
    }),
  ),
];

test("whatever happens in whatever order, the cache shows what the oracle computes (I7, OPT-03..07, GAP-07, GAP-09)", () => {
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 60, size: "max" }), (history) => {
      const model = createModel();
      fc.modelRun(() => ({ model: {}, real: { model } }), history);
      finish(model);
    }),
    { numRuns: 300, includeErrorInReport: true },
  );
});

/** When all has arrived and what is stale was asked for once, everything is exact. */
function finish(model: Model): void {
  const { server, oracle, cache, sent } = model;
  for (const one of sent.splice(0)) {
    // What the server did not change is answered so; what it took is in the stream.
    if (one.entry != null) continue;
    step(model, () => {
      if (one.entry === null) cache.confirm(one.id, null);
      else cache.reject(one.id);
      oracle.drop(one.id);
    });
  }
  while (oracle.cursor() < server.head()) {
    const entry = server.log[oracle.cursor()]!;
    step(model, () => deliver(model, entry, true));
  }
  step(model, () => {
    cache.advance(server.head());
    for (const one of oracle.pending()) if (one.isSeen) oracle.drop(one.id);
    oracle.moveTo(server.head());
  });
  for (const watched of model.watched) {
    if (watched.list.snapshot().isStale) step(model, () => answerAt(model, watched, server.head()));
    expect(watched.list.snapshot()).toMatchObject({ isStale: false, status: "ready" });
  }
  const state = [...server.at(server.head()).values()].map(({ record }) => record);
  for (const { list, shape } of model.watched) expect(list.data()).toEqual(select(state, shape));
  expect(statsOf(cache).pending).toBe(0);
}
