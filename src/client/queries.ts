import { isEqual, keep } from "./equality.ts";
import { bucketOf, dataOf, isRuled, place } from "./lists.ts";
import { addOwner, markDirty, removeOwner, typeOf } from "./nodes.ts";
import type { BaseChange, Placement } from "./lists.ts";
import type { CacheState, QueryNode, RecordNode } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { Answer, QuerySnapshot } from "./snapshot.ts";

/** Of a query that was never asked. */
export const loadingSnapshot: QuerySnapshot = {
  data: [],
  status: "loading",
  isStale: true,
  isFetching: false,
  isComplete: false,
  problem: null,
  sequence: 0,
};

export function queryOf(state: CacheState, key: QueryKey): QueryNode {
  const known = state.queries.get(key.text);
  if (known !== undefined) return known;
  const rule = state.rules.queries[key.name] ?? { returns: null };
  const { returns } = rule;
  const query: QueryNode = {
    key,
    rule,
    limit: rule.limit?.(key.input) ?? null,
    bucket: bucketOf(rule.partition ?? [], key.input),
    type: returns === null ? null : typeOf(state, returns),
    values: loadingSnapshot.data,
    base: [],
    shown: [],
    changed: null,
    included: [],
    snapshot: loadingSnapshot,
    listeners: [],
    askers: 0,
    sequence: 0,
    needed: 0,
    expiresAt: Infinity,
    scopes: [],
    types: [],
    problem: null,
    used: state.tick,
    isAnswered: false,
    isStale: true,
    isFetching: false,
    isComplete: false,
    isOutrun: false,
    isDirty: false,
  };
  state.queries.set(key.text, query);
  return query;
}

/** From its first answer on a query with a rule takes part in every change of its type. */
export function enterIndex(query: QueryNode): void {
  const { type, rule, key, bucket } = query;
  if (type === null || !isRuled(query)) return;
  const index = type.rules.get(key.name) ?? { partition: rule.partition ?? [], lists: new Map() };
  type.rules.set(key.name, index);
  const lists = index.lists.get(bucket);
  if (lists === undefined) index.lists.set(bucket, [query]);
  else if (!lists.includes(query)) lists.push(query);
}

function leaveIndex(state: CacheState, query: QueryNode): void {
  const { type, key, bucket } = query;
  for (const name of plainTypesOf(query)) state.types.get(name)?.plain.delete(query);
  const lists = type?.rules.get(key.name)?.lists;
  const rest = lists?.get(bucket)?.filter((other) => other !== query) ?? [];
  if (rest.length > 0) lists?.set(bucket, rest);
  else lists?.delete(bucket);
}

export function dropQuery(state: CacheState, query: QueryNode): void {
  leaveIndex(state, query);
  for (const node of query.base) removeOwner(node, query);
  state.queries.delete(query.key.text);
  markStored(state, query);
}

function markStored(state: CacheState, query: QueryNode): void {
  state.step.dirtyQueries.push(query);
}

/** Marks a query stale until it is answered as of `needed`; asks for it when it has subscribers. */
export function markStale(state: CacheState, query: QueryNode, needed: number): void {
  query.needed = Math.max(query.needed, needed);
  for (const name of plainTypesOf(query)) state.types.get(name)?.plain.delete(query);
  if (!query.isStale) {
    query.isStale = true;
    markDirty(state, query);
    markStored(state, query);
  }
  if (query.listeners.length > 0) state.step.stale.push(query);
}

/** A manual invalidation: an answer that is on its way may be older and does not count. */
export function invalidateQuery(state: CacheState, query: QueryNode): void {
  if (query.isFetching) query.isOutrun = true;
  markStale(state, query, 0);
}

/** Lets a change of the base find its place in one list. */
export function placeIn(state: CacheState, query: QueryNode, change: BaseChange): void {
  let placement: Placement = "refill";
  try {
    placement = place(state, query, change);
  } catch {
    // Its rule fails; the service knows.
  }
  if (placement === "kept") return;
  query.changed = null;
  markDirty(state, query);
  markStored(state, query);
  if (placement === "refill") markStale(state, query, change.sequence);
}

function isSameList(left: readonly RecordNode[], right: readonly RecordNode[]): boolean {
  return left.length === right.length && left.every((node, index) => node === right[index]);
}

export function isAlive(node: RecordNode | undefined): node is RecordNode {
  return node !== undefined && node.base !== null;
}

export function setMembers(query: QueryNode, members: RecordNode[]): void {
  if (isSameList(query.base, members)) return;
  if (query.base.length > 0) {
    const kept = new Set(members);
    for (const node of query.base) if (!kept.has(node)) removeOwner(node, query);
  }
  for (const node of members) addOwner(node, query);
  query.base = members;
}

/** What a list knew before: a fresh one is as new as the cursor, whatever its answer was. */
function isOlder(state: CacheState, query: QueryNode, sequence: number): boolean {
  if (!query.isAnswered) return false;
  const isTracked = query.type !== null && !query.isStale;
  return sequence < (isTracked ? Math.max(query.sequence, state.cursor) : query.sequence);
}

/** Brings a list that is older than what the cache knows up to date, or marks it stale. */
function catchUp(state: CacheState, query: QueryNode, overtaken: ReadonlySet<RecordNode>): void {
  const { type, sequence } = query;
  if (type !== null && isRuled(query)) {
    for (const node of overtaken) {
      if (node.type === type) placeIn(state, query, { node, before: null, sequence });
    }
    if (type.learnedAt > sequence) {
      for (const node of type.nodes.values()) {
        if (node.sequence > sequence)
          placeIn(state, query, { node, before: null, sequence: node.sequence });
      }
    }
    if (type.forgottenAt > sequence) markStale(state, query, type.forgottenAt);
  }
  for (const name of plainTypesOf(query)) {
    const { changedAt, forgottenAt } = typeOf(state, name);
    const needed = Math.max(changedAt, forgottenAt);
    if (needed > sequence) markStale(state, query, needed);
  }
}

/** All types whose changes may concern a query. */
function typesOf({ type, rule }: QueryNode, answer: Answer): readonly string[] {
  const own = type === null ? [] : [type.name];
  return [...new Set([...answer.types, ...own, ...(rule.dependsOn ?? [])])];
}

/** The types of which any change makes a query stale: its rule knows what to do with its own. */
function plainTypesOf(query: QueryNode): readonly string[] {
  return isRuled(query) ? (query.rule.dependsOn ?? []) : query.types;
}

export function watchTypes(state: CacheState, query: QueryNode): void {
  for (const name of plainTypesOf(query)) typeOf(state, name).plain.add(query);
}

/** An answer whose records were put before. */
interface GivenAnswer {
  readonly answer: Answer;
  readonly now: number;
  /** The nodes of its records, in their order. */
  readonly nodes: readonly RecordNode[];
  /** Records of it that are known to be newer than it says. */
  readonly overtaken: ReadonlySet<RecordNode>;
}

function replaceList(state: CacheState, query: QueryNode, given: GivenAnswer): void {
  const { answer, now, nodes } = given;
  const { type } = query;
  query.expiresAt = now + answer.ttlMs;
  query.sequence = answer.sequence;
  query.scopes = answer.scopes;
  query.types = typesOf(query, answer);
  query.isComplete = query.limit === null || answer.data.length < query.limit;
  query.isStale = false;
  query.isAnswered = true;
  if (type === null) {
    query.values = isEqual(query.values, answer.data) ? query.values : answer.data;
    return;
  }
  // Most often the records stand where their ids do, and need not be looked up.
  const members = answer.data.map((id, at) => {
    const node = nodes[at];
    return node !== undefined && node.id === id && node.type === type
      ? node
      : type.nodes.get(String(id));
  });
  setMembers(query, members.filter(isAlive));
  query.included = nodes.filter((node) => node.type !== type);
  // Members that did not come along are a miss, not a shorter list (CACHE-08).
  if (members.some((node) => node === undefined || node.sequence < 0)) query.isStale = true;
  else if (!query.isComplete && query.base.length < members.length)
    markStale(state, query, answer.sequence + 1);
  enterIndex(query);
}

/** Takes an answer, unless the list is newer. */
export function putList(state: CacheState, query: QueryNode, given: GivenAnswer): void {
  const { answer, overtaken } = given;
  query.isFetching = false;
  query.problem = null;
  query.changed = null;
  markDirty(state, query);
  markStored(state, query);
  const isOlderList = isOlder(state, query, answer.sequence);
  if (!isOlderList) {
    replaceList(state, query, given);
    catchUp(state, query, overtaken);
  }
  const needed = Math.max(query.needed, state.floor);
  const isTooOld = isOlderList ? query.isStale : answer.sequence < needed;
  if (query.isOutrun || isTooOld) markStale(state, query, needed);
  query.isOutrun = false;
  if (!query.isStale) watchTypes(state, query);
}

/** How asking for a query stands. */
export function noteQuery(state: CacheState, key: QueryKey, problem: unknown): void {
  const query = queryOf(state, key);
  query.problem = problem;
  query.isFetching = problem === null;
  query.isOutrun &&= query.isFetching;
  query.isStale ||= !query.isFetching;
  markDirty(state, query);
}

/** Makes the snapshot of a query again when it has to; tells whether it is another one. */
export function refresh(state: CacheState, query: QueryNode): boolean {
  if (!query.isDirty) return false;
  query.isDirty = false;
  const { snapshot: old, isStale, isFetching, isComplete, problem, sequence, isAnswered } = query;
  const data = dataOf(state, query);
  const status = isAnswered ? "ready" : problem === null ? "loading" : "error";
  query.snapshot = keep(old, { data, status, isStale, isFetching, isComplete, problem, sequence });
  return query.snapshot !== old;
}
