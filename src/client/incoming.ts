import { dropPending, pendingOf, settle } from "./overlay.ts";
import { askAgain, nodeOf, typeOf } from "./nodes.ts";
import { markStale, putList, queryOf } from "./queries.ts";
import { deleteBase, doubtType, putBase, touchBase } from "./records.ts";
import type { CacheState, RecordNode } from "./nodes.ts";
import type { QueryKey } from "./query-key.ts";
import type { ChangeEvent, RecordRef, TypedRecord } from "./record.ts";
import type { Arrival } from "./records.ts";
import type { Answer } from "./snapshot.ts";

/** After a reset: what is known stays visible, but anything that comes is newer. */
function forgetVersions(state: CacheState): void {
  for (const type of state.types.values()) {
    type.forgottenAt = type.changedAt = type.learnedAt = type.doubtedBefore = 0;
    for (const node of type.nodes.values()) {
      node.version = 0;
      node.sequence = -1;
      if (node.extra !== null) node.extra.doubtedBefore = 0;
      askAgain(state, node);
      state.step.dirtyNodes.push(node);
    }
  }
  // What was answered is in the base that begins here, or belongs to another history.
  for (const pending of state.pending)
    if (pending.sequence !== null || pending.transactionId !== null) dropPending(state, pending);
  for (const query of state.queries.values()) {
    query.sequence = query.needed = 0;
    // What is asked for already is asked anew, or its answer is older than the floor.
    markStale(state, query, 0);
  }
}

/** How far behind the head the first stream may begin, because of what replies told before it. */
const backMax = 1_000;

/** Begins at a head; the first time before what replies told already, so that nothing after them is missed. */
export function start(state: CacheState, head: number): void {
  const { cursor, floor } = state;
  const isReplied = cursor < 0 && floor > 0 && head - floor < backMax;
  if (!isReplied) forgetVersions(state);
  state.cursor = state.floor = isReplied ? Math.min(head, floor - 1) : head;
}

export function advance(state: CacheState, sequence: number): void {
  if (sequence < state.cursor || state.cursor < 0) return;
  state.cursor = sequence;
  // The stream is past the transactions it showed before.
  for (const pending of state.pending) {
    if (pending.transactionId !== null) dropPending(state, pending);
  }
}

export function applyEvent(state: CacheState, event: ChangeEvent): "applied" | "duplicate" | "gap" {
  const { sequence, transactionId } = event;
  if (state.cursor < 0 || sequence - event.span > state.cursor) return "gap";
  if (sequence <= state.cursor) return "duplicate";
  state.cursor = sequence;
  for (const pending of state.pending) {
    const seen = pending.transactionId;
    if (seen !== null && seen !== transactionId) dropPending(state, pending);
  }
  const at = { state, sequence, isEvent: true };
  const { nodes } = putAll(at, event.changed);
  // After the changed ones: a record that was deleted and made anew in one transaction exists.
  for (const deleted of event.deleted) nodes.push(putGone(at, deleted));
  for (const touched of event.touched) touchBase(state, touched, sequence);
  if (event.bulk !== undefined) doubtType(state, event.bulk, sequence);
  const own = pendingOf(state, event.mutationId);
  if (own !== undefined) {
    own.transactionId = transactionId;
    settle(own, nodes);
  }
  return "applied";
}

/** Answers the nodes of the records, in their order, and those that are known to be newer. */
function putAll(
  at: Arrival,
  records: readonly TypedRecord[],
): { readonly nodes: RecordNode[]; readonly overtaken: ReadonlySet<RecordNode> } {
  const { state } = at;
  const nodes: RecordNode[] = [];
  const overtaken = new Set<RecordNode>();
  let type = null;
  for (const { type: name, record } of records) {
    if (type === null || type.name !== name) type = typeOf(state, name);
    const node = nodeOf(state, type, record.id);
    nodes.push(node);
    if (!putBase(at, node, record)) overtaken.add(node);
  }
  return { nodes, overtaken };
}

function putGone(at: Arrival, { type, id, version }: RecordRef & { version: number }): RecordNode {
  const node = nodeOf(at.state, typeOf(at.state, type), id);
  deleteBase(at, node, version);
  return node;
}

export function putRecords(
  state: CacheState,
  records: readonly TypedRecord[],
  sequence: number,
): void {
  putAll({ state, sequence, isEvent: false }, records);
}

export function putMissing(state: CacheState, ref: RecordRef, sequence: number): void {
  putGone({ state, sequence, isEvent: false }, { ...ref, version: 0 });
}

export function putAnswer(
  state: CacheState,
  key: QueryKey,
  given: { answer: Answer; now: number },
): void {
  const { answer } = given;
  const query = queryOf(state, key);
  const at = { state, sequence: answer.sequence, isEvent: false };
  putList(state, query, { ...given, ...putAll(at, answer.records) });
}

export function confirm(
  state: CacheState,
  reply: {
    readonly id: string;
    readonly sequence: number | null;
    readonly records: readonly TypedRecord[];
  },
): void {
  const { sequence } = reply;
  if (state.cursor < 0) state.floor ||= sequence ?? 0;
  // What changed nothing was so at some time: what is known to be newer stands.
  const at = { state, sequence: sequence ?? 0, isEvent: sequence !== null };
  const { nodes } = putAll(at, reply.records);
  const pending = pendingOf(state, reply.id);
  if (pending === undefined) return;
  if (sequence === null) return dropPending(state, pending);
  pending.sequence = sequence;
  settle(pending, nodes);
}
