import type { QueryKey } from "./query-key.ts";
import type { ClientRecord, RecordRef } from "./record.ts";
import type { ClientRules, Mutation, QueryRule } from "./rules.ts";
import type { CacheWork, DirtySet, QuerySnapshot, RecordSnapshot } from "./snapshot.ts";

/**
 * The parts of the cache, and how they point at each other:
 *
 *     types ─▶ TypeStore ─▶ RecordNode ◀──base── QueryNode ◀─ queries
 *                 │             │ ──owners──▶        ▲
 *                 │             └ layers of pending mutations, oldest first
 *                 └ rules ─▶ lists by partition ─────┘
 *
 * The base is what the server said; a record's view is its topmost layer, else its base.
 */
export type Listener = () => void;

/** One record. There may be ten thousand of them: what only a few need lies in `extra`. */
export interface RecordNode {
  readonly type: TypeStore;
  readonly id: string;
  /** null: deleted, or never heard of. */
  base: ClientRecord | null;
  version: number;
  /** The base is as of this sequence at least; -1: never heard of. */
  sequence: number;
  /** The step or read that used it last. */
  used: number;
  /** The queries whose base holds it: none, one, or several, without a Set for each record. */
  owners: QueryNode | QueryNode[] | null;
  extra: RecordExtra | null;
}

export interface RecordExtra {
  layers: readonly Layer[];
  listeners: readonly Listener[];
  /** As of an earlier sequence its base may be old: a change of it was not seen, or without content. */
  doubtedBefore: number;
  /** Why it could not be asked for. */
  problem: unknown;
  snapshot: RecordSnapshot;
}

/** What one mutation makes of a record. */
export interface Layer {
  readonly pending: Pending;
  record: ClientRecord | null;
}

/** A mutation on its way. It covers what it wrote until the base has it. */
export interface Pending {
  readonly mutation: Mutation;
  readonly order: number;
  /** What it read or wrote: a change of these runs it again. */
  readonly nodes: Set<RecordNode>;
  /** Types it went through as a whole. */
  readonly types: Set<TypeStore>;
  /** Records whose base is known to hold its effect. */
  readonly settled: Set<RecordNode>;
  /** The sequence of the reply, once there is one. */
  sequence: number | null;
  /** The transaction in which the stream showed it. */
  transactionId: string | null;
  isDirty: boolean;
}

export interface QueryNode {
  readonly key: QueryKey;
  readonly rule: QueryRule;
  readonly limit: number | null;
  /** Where its rule's index keeps it. */
  readonly bucket: string;
  /** The type of its records; null for plain values. */
  type: TypeStore | null;
  values: readonly unknown[];
  /** The records in the server's order, without the overlay. */
  base: RecordNode[];
  /** The records of the snapshot; the base itself when no mutation has a say. */
  shown: readonly RecordNode[];
  /** Records that changed in place since the snapshot; null when their order may have changed too. */
  changed: RecordNode[] | null;
  /** Records that came along with the answer. */
  included: readonly RecordNode[];
  snapshot: QuerySnapshot;
  listeners: readonly Listener[];
  /** Those of them that want it asked for when it is stale. */
  askers: number;
  sequence: number;
  /** An answer older than this leaves it stale. */
  needed: number;
  expiresAt: number;
  scopes: readonly string[];
  types: readonly string[];
  problem: unknown;
  used: number;
  isAnswered: boolean;
  isStale: boolean;
  isFetching: boolean;
  /** Invalidated while a request was under way, whose answer may be older. */
  isOutrun: boolean;
  /** The base holds every record that matches, not only the first page of them. */
  isComplete: boolean;
  isDirty: boolean;
}

export interface RuleIndex {
  readonly partition: readonly string[];
  readonly lists: Map<string, QueryNode[]>;
}

export interface TypeStore {
  readonly name: string;
  readonly nodes: Map<string, RecordNode>;
  readonly rules: Map<string, RuleIndex>;
  /** Fresh queries that no rule keeps right: the next change of the type makes them stale. */
  readonly plain: Set<QueryNode>;
  /** Records with layers. */
  readonly overlaid: Set<RecordNode>;
  /** The newest sequence of any of its records. */
  learnedAt: number;
  /** The newest change heard of. */
  changedAt: number;
  /** Changes up to here may have been forgotten: an older answer cannot be brought up to date. */
  forgottenAt: number;
  /** Records as of an earlier sequence may have been changed by a bulk operation. */
  doubtedBefore: number;
}

/** What a step has done so far; told to listeners when it ends. */
export interface Step {
  /** Records that changed, and how they looked before. */
  nodes: RecordNode[];
  views: (ClientRecord | null)[];
  queries: QueryNode[];
  stale: QueryNode[];
  unknown: RecordNode[];
  /** Mutations were pending before or during it: lists may show what their base does not hold. */
  hadPending: boolean;
  /** Where it began. */
  readonly cursor: number;
  /** What of the base it changed. */
  dirtyNodes: RecordNode[];
  dirtyQueries: QueryNode[];
}

export interface CacheLimits {
  readonly records: number;
  readonly queries: number;
  readonly bytes: number;
}

export interface CacheHooks {
  /**
   * Set by the client: ask for these, with `min_sequence` = `cursor`. Named once until answered
   * or failed. Records are those with a subscriber whose content could not travel.
   */
  onStale: (keys: readonly QueryKey[], records: readonly RecordRef[]) => void;
  /** Set by the client when it persists: called after each step that changed the base. */
  onDirty: ((dirty: DirtySet) => void) | null;
}

export interface CacheState {
  readonly rules: ClientRules;
  readonly limits: CacheLimits;
  readonly types: Map<string, TypeStore>;
  readonly queries: Map<string, QueryNode>;
  pending: Pending[];
  cursor: number;
  /**
   * Answers older than this leave their query stale: what came before was not seen. Before the first
   * stream stands it is the sequence of the first reply, 0 without one.
   */
  floor: number;
  recordCount: number;
  /** A sample of the records, for the estimate of bytes. */
  readonly weighed: { seen: number; count: number; bytes: number };
  /** Records whose base moved or that lost a layer: mutations that depend on them run again. */
  readonly rebased: Set<RecordNode>;
  /** Even for steps, odd for reads between them. */
  tick: number;
  depth: number;
  order: number;
  step: Step;
  /** At this fullness an eviction is tried; more than 1 when all that is left is in use. */
  evictAbove: number;
  hits: number;
  misses: number;
  evictions: number;
  readonly work: CacheWork;
  readonly hooks: CacheHooks;
}

/** What readers see: the topmost layer, else the base. */
export function viewOf(node: RecordNode): ClientRecord | null {
  if (node.extra === null) return node.base;
  const { layers } = node.extra;
  const top = layers[layers.length - 1];
  return top === undefined ? node.base : top.record;
}

/** Whether its base is what the server has, as far as anybody heard. */
export function isKnown({ sequence, type, extra }: RecordNode): boolean {
  return sequence >= Math.max(type.doubtedBefore, extra?.doubtedBefore ?? 0);
}

export function isWatched({ extra }: RecordNode): boolean {
  return extra !== null && extra.listeners.length > 0;
}

/** By a list, a pending mutation or a subscriber. */
export function isHeld({ owners, extra }: RecordNode): boolean {
  return owners !== null || (extra !== null && extra.layers.length + extra.listeners.length > 0);
}

export const unknownSnapshot: RecordSnapshot = {
  data: null,
  isPending: false,
  isKnown: false,
  problem: null,
};

export function extraOf(node: RecordNode): RecordExtra {
  node.extra ??= {
    layers: [],
    listeners: [],
    doubtedBefore: 0,
    problem: null,
    snapshot: unknownSnapshot,
  };
  return node.extra;
}

export function newStep(cursor: number): Step {
  return {
    nodes: [],
    views: [],
    queries: [],
    stale: [],
    unknown: [],
    hadPending: false,
    cursor,
    dirtyNodes: [],
    dirtyQueries: [],
  };
}

/** To be called before a record changes: remembers how it looked. */
export function touch(state: CacheState, node: RecordNode): void {
  if (node.used === state.tick) return;
  node.used = state.tick;
  state.step.nodes.push(node);
  state.step.views.push(viewOf(node));
}

/** A record that is watched and not known, or no longer, is asked for. */
export function askAgain(state: CacheState, node: RecordNode): void {
  if (isKnown(node) || !isWatched(node)) return;
  touch(state, node);
  state.step.unknown.push(node);
}

/**
 * Weighs one record in 32: enough for an estimate, and nothing in the way of an event. In memory it
 * takes about twice its JSON, and a hundred bytes to be found again.
 */
export function weigh({ weighed }: CacheState, record: ClientRecord | null): void {
  weighed.seen += 1;
  if (record === null || (weighed.seen & 31) !== 1) return;
  weighed.count += 1;
  weighed.bytes += 100 + 2 * JSON.stringify(record).length;
}

export function bytesIn({ weighed, recordCount }: CacheState): number {
  return weighed.count === 0 ? 0 : Math.round((recordCount * weighed.bytes) / weighed.count);
}

/** The snapshot of a query has to be made again. */
export function markDirty(state: CacheState, query: QueryNode): void {
  if (query.isDirty) return;
  query.isDirty = true;
  state.step.queries.push(query);
}

const nobody: readonly QueryNode[] = [];

export function ownersOf({ owners }: RecordNode): readonly QueryNode[] {
  return owners === null ? nobody : Array.isArray(owners) ? owners : [owners];
}

export function owns(query: QueryNode, node: RecordNode): boolean {
  return node.owners === query || ownersOf(node).includes(query);
}

export function addOwner(node: RecordNode, query: QueryNode): void {
  if (node.owners === null) node.owners = query;
  else if (!owns(query, node)) node.owners = [...ownersOf(node), query];
}

export function removeOwner(node: RecordNode, query: QueryNode): void {
  const rest = ownersOf(node).filter((owner) => owner !== query);
  node.owners = rest.length > 1 ? rest : (rest[0] ?? null);
}

export function typeOf(state: CacheState, name: string): TypeStore {
  const known = state.types.get(name);
  if (known !== undefined) return known;
  const type: TypeStore = {
    name,
    nodes: new Map(),
    rules: new Map(),
    plain: new Set(),
    overlaid: new Set(),
    learnedAt: 0,
    changedAt: 0,
    forgottenAt: 0,
    doubtedBefore: 0,
  };
  state.types.set(name, type);
  return type;
}

export function nodeOf(state: CacheState, type: TypeStore, id: string): RecordNode {
  const known = type.nodes.get(id);
  if (known !== undefined) return known;
  const node: RecordNode = {
    type,
    id,
    base: null,
    version: 0,
    sequence: -1,
    used: 0,
    owners: null,
    extra: null,
  };
  type.nodes.set(id, node);
  state.recordCount += 1;
  return node;
}

/** Forgets a record that nobody holds. */
export function dropNode(state: CacheState, node: RecordNode): void {
  if (node.type.nodes.delete(node.id)) state.recordCount -= 1;
}
