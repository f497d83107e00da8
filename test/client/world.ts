import { createCache } from "../../src/client/cache.ts";
import { toQueryKey } from "../../src/client/query-key.ts";
import type { Cache, CacheOptions } from "../../src/client/cache.ts";
import type { QueryKey } from "../../src/client/query-key.ts";
import type { ChangeEvent, ClientRecord } from "../../src/client/record.ts";
import type { ClientRules } from "../../src/client/rules.ts";
import type { Answer } from "../../src/client/snapshot.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A file in directory "p" whose name is its id, at version 1. */
export function file(id: string, fields: Fields = {}): ClientRecord {
  return { id, version: 1, name: id, parentId: "p", size: 1, ...fields };
}

const byName = (left: ClientRecord, right: ClientRecord) => {
  const [one, other] = [String(left["name"]), String(right["name"])];
  return one < other ? -1 : one > other ? 1 : 0;
};

/** `directory` places records itself, `search` has to be asked again, `count` answers a value. */
export const rules: ClientRules = {
  queries: {
    directory: {
      returns: "file",
      partition: ["parentId"],
      matches: (record, input) => record["parentId"] === input.parentId,
      compare: byName,
      limit: (input) => input.limit ?? null,
    },
    search: { returns: "file" },
    large: { returns: "file", matches: (record, input) => Number(record["size"]) >= input.size },
    count: { returns: null },
  },
  actions: {},
};

let transactionCount = 0;

export function event(sequence: number, parts: Partial<ChangeEvent>): ChangeEvent {
  transactionCount += 1;
  const transactionId = `t${transactionCount}`;
  const nothing = { changed: [], deleted: [], touched: [] };
  return { sequence, span: 1, transactionId, ...nothing, ...parts };
}

export function changed(sequence: number, ...records: readonly ClientRecord[]): ChangeEvent {
  return event(sequence, { changed: records.map((record) => ({ type: "file", record })) });
}

export function deleted(sequence: number, id: string, version = 0): ChangeEvent {
  return event(sequence, { deleted: [{ type: "file", id, version }] });
}

export function answer(
  records: readonly ClientRecord[],
  sequence: number,
  parts: Partial<Answer> = {},
): Answer {
  return {
    data: records.map(({ id }) => id),
    records: records.map((record) => ({ type: "file", record })),
    sequence,
    ttlMs: 300_000,
    scopes: [],
    types: ["file"],
    ...parts,
  };
}

/** A subscribed query, its data and how often it was told. */
export function watch(cache: Cache, key: QueryKey) {
  let calls = 0;
  const unsubscribe = cache.subscribeQuery(key, () => (calls += 1));
  const data = () => cache.query(key).data as readonly ClientRecord[];
  return {
    key,
    data,
    names: () => data().map((record) => record["name"]),
    ids: () => data().map(({ id }) => id),
    snapshot: () => cache.query(key),
    calls: () => calls,
    unsubscribe,
  };
}

/** A cache that is live at `cursor`, and what it asked for. */
export function createWorld(cursor = 5, options: Partial<CacheOptions> = {}) {
  const cache = createCache({ rules, ...options });
  const asked: string[] = [];
  cache.onStale = (keys, records) => {
    asked.push(...keys.map(({ text }) => text), ...records.map(({ type, id }) => `${type}:${id}`));
  };
  cache.start(cursor);
  return {
    cache,
    /** What was asked for since the last call. */
    asked: () => asked.splice(0),
    /** A subscribed list that has its answer. */
    list: (name: string, input: Fields, records: readonly ClientRecord[]) => {
      const key = toQueryKey(name, input);
      cache.putAnswer(key, answer(records, cache.cursor), 0);
      const list = watch(cache, key);
      asked.length = 0;
      return list;
    },
  };
}
