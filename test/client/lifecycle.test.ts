/**
 * The cache through all that happens to it in a long life: transactions over several types and over
 * all records, bulk operations, changes without content, resets, evictions, restarts from disk, full
 * pages under pending mutations. What is fresh must be exact at every step, and all of it at the end.
 */
import { expect, test } from "bun:test";
import { statsOf } from "../../src/client/stats.ts";
import * as fc from "fast-check";
import { createCache } from "../../src/client/cache.ts";
import { dump, load } from "../../src/client/stored.ts";
import { toQueryKey } from "../../src/client/query-key.ts";
import { carryOut, createHistory, draftOver } from "./history.ts";
import type { Plan, State, Telling } from "./history.ts";
import { select } from "./oracle.ts";
import type { ListShape } from "./oracle.ts";
import { answer, watch } from "./world.ts";
import type { ClientRecord, RecordRef } from "../../src/client/record.ts";
import type { ClientRules } from "../../src/client/rules.ts";

const bySize: ListShape["compare"] = (left, right) => Number(right["size"]) - Number(left["size"]);
const rules: ClientRules = {
  queries: {
    directory: {
      returns: "file",
      partition: ["parentId"],
      matches: (record, input) => record.parentId === input.parentId,
      compare: bySize,
    },
    page: { returns: "file", matches: () => true, compare: bySize, limit: () => 2 },
    plain: { returns: "file" },
    tags: { returns: "tag", matches: () => true, compare: bySize },
  },
  actions: {},
};
const inside = (parentId: string): ListShape["matches"] => {
  return (record) => record["parentId"] === parentId;
};
const lists = [
  {
    key: toQueryKey("directory", { parentId: "p" }),
    type: "file",
    matches: inside("p"),
    limit: 99,
  },
  {
    key: toQueryKey("directory", { parentId: "q" }),
    type: "file",
    matches: inside("q"),
    limit: 99,
  },
  { key: toQueryKey("page"), type: "file", matches: () => true, limit: 2 },
  { key: toQueryKey("plain"), type: "file", matches: () => true, limit: 99 },
  { key: toQueryKey("tags"), type: "tag", matches: () => true, limit: 99 },
].map((list) => ({ ...list, compare: bySize }));
type List = (typeof lists)[number];

/** Of the lists, only these have subscribers: the others may be evicted. */
const WATCHED_COUNT = 3;
const limits = { records: 5, queries: 4, bytes: 1_000_000 };

interface Sent {
  readonly id: string;
  readonly plan: Plan;
  /** undefined: the server does not have it yet. null: it changed nothing. */
  sequence: number | null | undefined;
}

function openCache() {
  const cache = createCache({ rules, limits });
  const asked: RecordRef[] = [];
  cache.onStale = (_, records) => void asked.push(...records);
  return { cache, asked };
}

function createModel() {
  const model = {
    ...openCache(),
    history: createHistory(),
    sent: [] as Sent[],
    mutationCount: 0,
    /** What an answer or a reply told ahead of the stream: lists may mix two times until then. */
    aheadUntil: 0,
    /** After a reset the cache shows what it does not store. */
    isReset: false,
    watched: [] as ReturnType<typeof watch>[],
  };
  model.cache.start(0);
  subscribeAll(model);
  return model;
}
type Model = ReturnType<typeof createModel>;

function subscribeAll(model: Model): void {
  model.watched = lists.slice(0, WATCHED_COUNT).map(({ key }) => watch(model.cache, key));
  model.cache.subscribeRecord("file", "a", () => {});
}

const recordsOf = (state: State, type: string) =>
  Array.from(state.values(), (known) => (known.type === type ? known.record : null));
const expectedOf = (state: State, list: List) => select(recordsOf(state, list.type), list);

function answerList({ cache, history }: Model, list: List, sequence: number): void {
  const records = expectedOf(history.at(sequence), list);
  const typed = records.map((record) => ({ type: list.type, record }));
  const parts = { records: typed, types: [list.type] };
  cache.putAnswer(list.key, answer(records, sequence, parts), 0);
}

function answerRecords({ asked, cache, history }: Model): void {
  for (const { type, id } of asked.splice(0)) {
    const record = history.at(history.head()).get(`${type}:${id}`)?.record ?? null;
    if (record === null) cache.putMissing({ type, id }, history.head());
    else cache.putRecords([{ type, record }], history.head());
  }
}

/** What the service has not been told yet shows over the base, as if nothing were cached at all. */
function checkViews({ cache, sent, isReset }: Model): void {
  if (isReset || sent.some(({ sequence }) => sequence !== undefined)) return;
  const stored = [...dump(cache.state).records];
  const views = new Map(stored.map(({ type, id, record }) => [`${type}:${id}`, record]));
  for (const { plan } of sent) carryOut(draftOver(views), plan);
  for (const [key, view] of views) {
    const [type = "", id = ""] = key.split(":");
    expect({ key, view: cache.record(type, id).data }).toEqual({ key, view });
  }
}

function checkList(model: Model, list: List): void {
  const { cache, history, sent } = model;
  const { data, isStale, status } = cache.query(list.key);
  const shown = data as readonly ClientRecord[];
  for (const record of shown) expect(cache.record(list.type, record.id).data).toBe(record);
  if (list.key.name !== "plain") expect(shown).toEqual(select(shown, list));
  const isExact = sent.length === 0 && model.aheadUntil <= cache.cursor;
  if (!isStale && status === "ready" && isExact)
    expect({ [list.key.text]: shown }).toEqual({
      [list.key.text]: [...expectedOf(history.at(cache.cursor), list)],
    });
}

/** Runs one step and checks what must hold after each. */
function step(model: Model, work: () => void): void {
  const before = model.watched.map((list) => ({ list, at: list.snapshot(), calls: list.calls() }));
  work();
  for (const { list, at, calls } of before) {
    if (!model.watched.includes(list)) continue;
    expect(list.calls() - calls).toBe(list.snapshot() === at ? 0 : 1);
  }
  for (const list of lists) checkList(model, list);
  checkViews(model);
  const { records, queries, isOverBounds } = statsOf(model.cache);
  expect(isOverBounds || (records <= limits.records && queries <= limits.queries)).toBe(true);
}

function deliver({ cache, history, sent }: Model): void {
  const next = history.events[cache.cursor];
  if (next === undefined) return;
  cache.batch(() => {
    expect(cache.applyEvent(next)).toBe("applied");
    // Its own transaction is over when the next begins; for the test that is now.
    cache.advance(next.sequence);
  });
  const at = sent.findIndex(({ id }) => id === next.mutationId);
  if (at >= 0) sent.splice(at, 1);
}

/** A page that is loaded again: the base from disk, and the queue of what was not answered. */
function restart(model: Model): void {
  const stored = dump(model.cache.state);
  const copy = structuredClone({
    cursor: stored.cursor,
    doubts: stored.doubts,
    records: [...stored.records],
    queries: [...stored.queries],
  });
  Object.assign(model, { ...openCache(), isReset: false });
  load(model.cache.state, copy);
  for (const { id, plan } of model.sent)
    model.cache.mutate({ id, apply: (draft) => carryOut(draft, plan) });
  subscribeAll(model);
}

/** The stream could not go on: it begins anew at the head, and what was answered is in there. */
function reset(model: Model): void {
  const { cache, history, sent } = model;
  model.isReset = true;
  cache.batch(() => {
    cache.start(history.head());
    for (const one of sent.splice(0)) {
      if (one.sequence === undefined) sent.push(one);
      else cache.confirm(one.id, one.sequence);
    }
  });
}

type Command = fc.Command<Record<string, never>, { model: Model }>;

function command(title: string, work: (model: Model) => void): Command {
  return {
    check: () => true,
    run: (_, { model }) => step(model, () => work(model)),
    toString: () => title,
  };
}

const fields = fc.record(
  { parentId: fc.constantFrom("p", "q"), size: fc.integer({ min: 1, max: 4 }) },
  { requiredKeys: [] },
);
const write = fc.record({
  type: fc.constantFrom("file" as const, "file" as const, "tag" as const),
  id: fc.constantFrom("a", "b", "c", "d", "e", "f"),
  kind: fc.constantFrom("put" as const, "put" as const, "delete" as const),
  fields,
});
const plan: fc.Arbitrary<Plan> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ writes: fc.array(write, { minLength: 1, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ move: { from: "p", to: "q" } }) },
);
const filesOnly = ({ type }: { readonly type: string }) => type === "file";
const telling = fc.constantFrom<Telling>("whole", "whole", "touched", "bulk");

const commands: fc.Arbitrary<Command>[] = [
  fc.tuple(plan, telling).map(([one, told]) => {
    const isBulk = told === "bulk" && "writes" in one;
    const committed = isBulk ? { writes: one.writes.filter(filesOnly) } : one;
    return command(`commit ${JSON.stringify(committed)} ${told}`, ({ history }) => {
      history.commit(committed, told);
    });
  }),
  fc.constant(command("next event", deliver)),
  fc.constant(command("next event", deliver)),
  fc.tuple(fc.constantFrom(...lists), fc.integer({ min: 0, max: 9 })).map(([list, age]) =>
    command(`answer ${list.key.text}, ${age} old`, (model) => {
      const sequence = Math.max(0, model.history.head() - age);
      model.aheadUntil = Math.max(model.aheadUntil, sequence);
      answerList(model, list, sequence);
    }),
  ),
  fc.constant(
    command("answer what was asked", (model) => {
      model.aheadUntil = model.history.head();
      answerRecords(model);
    }),
  ),
  plan.map((one) =>
    command(`mutate ${JSON.stringify(one)}`, (model) => {
      const id = `m${(model.mutationCount += 1)}`;
      model.sent.push({ id, plan: one, sequence: undefined });
      model.cache.mutate({ id, apply: (draft) => carryOut(draft, one) });
    }),
  ),
  fc.constant(
    command("server takes the oldest mutation", ({ sent, history }) => {
      const one = sent.find(({ sequence }) => sequence === undefined);
      if (one !== undefined) one.sequence = history.commit(one.plan, "whole", one.id);
    }),
  ),
  fc.constant(command("reply to the oldest mutation", replyToOldest)),
  fc.constant(command("restart", restart)),
  fc.constant(command("reset", reset)),
];

function replyToOldest({ cache, sent }: Model): void {
  const one = sent[0];
  if (one === undefined) return;
  if (one.sequence === undefined) cache.reject(one.id);
  else cache.confirm(one.id, one.sequence);
  // One that changed something is over when the stream has it.
  if (one.sequence == null || one.sequence <= cache.cursor) sent.shift();
}

/** When all has arrived and what is stale was asked for, everything is exact. */
function finish(model: Model): void {
  const { cache, history, sent } = model;
  for (const one of sent) {
    if (one.sequence === undefined) one.sequence = history.commit(one.plan, "whole", one.id);
  }
  for (const one of sent.filter(({ sequence }) => sequence === null)) {
    sent.splice(sent.indexOf(one), 1);
    step(model, () => cache.confirm(one.id, null));
  }
  while (cache.cursor < history.head()) step(model, () => deliver(model));
  // Twice, because an answer that was on its way at a reset does not count.
  for (const list of [...lists, ...lists]) {
    if (cache.query(list.key).isStale) step(model, () => answerList(model, list, history.head()));
  }
  step(model, () => answerRecords(model));
  const state = history.at(history.head());
  for (const { key, data, isStale } of lists.slice(0, WATCHED_COUNT).map((list) => ({
    key: list,
    ...cache.query(list.key),
  }))) {
    expect(isStale).toBe(false);
    expect(data).toEqual(expectedOf(state, key));
  }
  const { isKnown, data } = cache.record("file", "a");
  expect({ isKnown, data }).toEqual({ isKnown: true, data: state.get("file:a")?.record ?? null });
  expect(statsOf(cache).pending).toBe(0);
}

test("through bulks, resets, evictions and restarts what is fresh is exact (I7, CACHE-08, CACHE-11, CACHE-17, OPT-03)", () => {
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 40, size: "max" }), (steps) => {
      const model = createModel();
      fc.modelRun(() => ({ model: {}, real: { model } }), steps);
      finish(model);
    }),
    { numRuns: Number(process.env["HISTORIES"] ?? 60), includeErrorInReport: true },
  );
});
