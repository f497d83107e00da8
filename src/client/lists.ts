import { addOwner, markDirty, owns, ownersOf, removeOwner, viewOf } from "./nodes.ts";
import type { CacheState, QueryNode, RecordNode, RuleIndex, TypeStore } from "./nodes.ts";
import type { ClientRecord } from "./record.ts";

type Read = (node: RecordNode) => ClientRecord | null;

const baseOf: Read = (node) => node.base;

/** Where an index of lists keeps those that agree with `source` on its partition. */
export function bucketOf(
  partition: readonly string[],
  source: Readonly<Record<string, unknown>>,
): string {
  const [field = ""] = partition;
  const value = source[field];
  // The value itself, because its hash is known already.
  if (partition.length === 1 && typeof value === "string") return value;
  return JSON.stringify(partition.map((name) => source[name] ?? null));
}

/** The lists of a rule that `record` may belong to. */
export function listsFor(
  { partition, lists }: RuleIndex,
  record: ClientRecord,
): readonly QueryNode[] {
  return lists.get(bucketOf(partition, record)) ?? [];
}

function fits(state: CacheState, query: QueryNode, record: ClientRecord): boolean {
  const { rule, key } = query;
  if (rule.matches === undefined) return false;
  if (rule.partition !== undefined && bucketOf(rule.partition, record) !== query.bucket)
    return false;
  state.work.matched += 1;
  return rule.matches(record, key.input);
}

function compareIn(query: QueryNode, left: ClientRecord | null, right: ClientRecord): number {
  if (left === null) return -1;
  const order = query.rule.compare?.(left, right, query.key.input) ?? 0;
  if (order !== 0) return order;
  return left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
}

/** A record whose place is sought among others, as they are read. */
interface Sought {
  readonly record: ClientRecord;
  readonly read: Read;
}

/** The first position whose record does not sort before `record`. */
function search(query: QueryNode, list: readonly RecordNode[], at: Sought): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const node = list[middle];
    if (node !== undefined && compareIn(query, at.read(node), at.record) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A record whose base changed, and what that was. */
export interface BaseChange {
  readonly node: RecordNode;
  readonly before: ClientRecord | null;
  readonly sequence: number;
}

/** Whether the records around a place sort as they should with `record` there. */
function isBetween(query: QueryNode, at: number, { record, read }: Sought): boolean {
  const left = query.base[at - 1];
  const right = query.base[at + 1];
  if (left !== undefined && compareIn(query, read(left), record) > 0) return false;
  return right === undefined || compareIn(query, read(right), record) >= 0;
}

function staysAt(query: QueryNode, at: number, { before, node }: BaseChange): boolean {
  const record = node.base;
  if (record === null || !isBetween(query, at, { record, read: baseOf })) return false;
  // The last of a full page stays unless it moved towards what is unknown.
  if (query.isComplete || at < query.base.length - 1) return true;
  return before !== null && compareIn(query, before, record) >= 0;
}

/** What became of a list: "refill" when it can no longer know what belongs at its end. */
export type Placement = "kept" | "changed" | "refill";

function remove(query: QueryNode, node: RecordNode, at: number): Placement {
  query.base.splice(at, 1);
  removeOwner(node, query);
  return query.isComplete ? "changed" : "refill";
}

function insert(query: QueryNode, node: RecordNode, wasAt: number): Placement {
  const { base, limit } = query;
  if (node.base === null) return "kept";
  const to = search(query, base, { record: node.base, read: baseOf });
  if (to === base.length && !query.isComplete) {
    // What comes after a full page is unknown, so its end is a guess.
    if (wasAt < 0) return "kept";
    base.push(node);
    return "refill";
  }
  base.splice(to, 0, node);
  addOwner(node, query);
  if (limit !== null && base.length > limit) {
    const last = base.pop();
    if (last !== undefined) removeOwner(last, query);
    query.isComplete = false;
  }
  return "changed";
}

/** Inserts, moves or removes a record in the base of a list, as the rule of its query says. */
export function place(state: CacheState, query: QueryNode, change: BaseChange): Placement {
  const { node } = change;
  const at = owns(query, node) ? query.base.indexOf(node) : -1;
  const record = node.base;
  if (record !== null && query.rule.matches === undefined) return "kept";
  if (record === null || !fits(state, query, record)) {
    return at < 0 ? "kept" : remove(query, node, at);
  }
  if (query.rule.compare === undefined) {
    if (at >= 0) return "kept";
    // Shown at the end, as it was while it was pending, until the answer says where.
    if (query.isComplete && (query.limit === null || query.base.length < query.limit)) {
      query.base.push(node);
      addOwner(node, query);
    }
    return "refill";
  }
  if (at >= 0) {
    if (staysAt(query, at, change)) return "kept";
    query.base.splice(at, 1);
  }
  return insert(query, node, at);
}

/** Places again what changed in a whole list since it was shown. */
function renew(state: CacheState, query: QueryNode, changed: readonly RecordNode[]) {
  const moved = new Set(changed);
  const list = query.shown.filter((node) => !moved.has(node));
  for (const node of moved) {
    const record = viewOf(node);
    if (record === null) continue;
    // Of what is not pending, the base knows whether it belongs.
    const belongs = node.type.overlaid.has(node) ? fits(state, query, record) : owns(query, node);
    if (belongs) list.splice(search(query, list, { record, read: viewOf }), 0, node);
  }
  return list;
}

/** The records of a list with the overlay: the base itself when no pending mutation has a say. */
function overlay(state: CacheState, query: QueryNode, type: TypeStore): readonly RecordNode[] {
  const { base, rule, limit, changed, shown, isComplete } = query;
  const isOrdered = rule.compare !== undefined;
  // Nothing was cut off, nor will be: what did not change since it was shown stays where it is.
  const isWhole = isComplete && shown.length + (changed?.length ?? 0) <= (limit ?? Infinity);
  if (changed !== null && shown !== base && isOrdered && isRuled(query) && isWhole)
    return renew(state, query, changed);
  const entering: RecordNode[] = [];
  const leaving = new Set<RecordNode>();
  let isMoved = false;
  for (const node of type.overlaid) {
    const record = viewOf(node);
    const isMember = owns(query, node);
    const belongs =
      record !== null && (rule.matches === undefined ? isMember : fits(state, query, record));
    if (isMember && isOrdered && belongs)
      isMoved ||= !isBetween(query, base.indexOf(node), { record, read: viewOf });
    else if (isMember !== belongs) isMoved = true;
    if (isMember && (!belongs || isOrdered)) leaving.add(node);
    if (belongs && (!isMember || isOrdered)) entering.push(node);
  }
  if (!isMoved) return base;
  const list = base.filter((node) => !leaving.has(node));
  for (const node of entering) {
    const record = viewOf(node);
    if (record === null) continue;
    const to = isOrdered ? search(query, list, { record, read: viewOf }) : list.length;
    // A new record beyond a full page is not shown, as the server would not show it.
    if (to < list.length || isComplete || leaving.has(node)) list.splice(to, 0, node);
  }
  if (limit !== null && list.length > limit) list.length = limit;
  return list;
}

function patch(
  list: readonly RecordNode[],
  old: readonly unknown[],
  changed: readonly RecordNode[],
): readonly unknown[] {
  let data: unknown[] | null = null;
  for (const node of changed) {
    const view = viewOf(node);
    for (let at = list.indexOf(node); at >= 0; at = list.indexOf(node, at + 1)) {
      if (old[at] === view) continue;
      data ??= [...old];
      data[at] = view;
    }
  }
  return data ?? old;
}

/** The records that readers see; the old array when they are the same. */
export function dataOf(state: CacheState, query: QueryNode): readonly unknown[] {
  const { type, snapshot } = query;
  if (type === null) return query.values;
  state.work.rebuilt += 1;
  let list: readonly RecordNode[] = query.base;
  try {
    if (type.overlaid.size > 0) list = overlay(state, query, type);
  } catch {
    // Its rule fails for what is pending: what the service said is shown.
  }
  const old = snapshot.data;
  const { changed, shown } = query;
  query.changed = [];
  query.shown = list;
  // Few changes in place are patched: looking at every record costs more than copying the array.
  if (changed !== null && list === shown && changed.length * 16 <= list.length)
    return patch(list, old, changed);
  const data = list.map(viewOf);
  if (old.length !== data.length) return data;
  for (let index = 0; index < data.length; index += 1) if (old[index] !== data[index]) return data;
  return old;
}

function noteChange(state: CacheState, query: QueryNode, node: RecordNode): void {
  if (query.changed !== null && query.changed.push(node) > query.shown.length) query.changed = null;
  markDirty(state, query);
}

/** After a base changed: the lists that hold it. */
export function markOwners(state: CacheState, node: RecordNode): void {
  for (const query of ownersOf(node)) noteChange(state, query, node);
}

/** After a view changed: also the lists that only a pending mutation makes it part of. */
export function markLists(state: CacheState, node: RecordNode, view: ClientRecord): void {
  for (const index of node.type.rules.values()) {
    for (const query of listsFor(index, view)) {
      try {
        if (!fits(state, query, view)) continue;
      } catch {
        // Whether it belongs there is found out when the list is read.
      }
      noteChange(state, query, node);
    }
  }
}

/** Whether the cache keeps a list right by itself. */
export function isRuled({ rule, type }: QueryNode): boolean {
  return rule.matches !== undefined && type !== null;
}
