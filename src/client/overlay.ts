import { askAgain, dropNode, extraOf, isHeld, nodeOf, touch, typeOf } from "./nodes.ts";
import type { CacheState, Layer, Pending, RecordNode } from "./nodes.ts";
import type { ClientRecord } from "./record.ts";
import type { Draft, Mutation } from "./rules.ts";

/*
 * Pending mutations lie on the base in the order they were made: each record they wrote has one
 * layer for each of them. When a base moves or a layer goes, only the mutations that read or
 * wrote that record run again, then those that depend on what these write.
 *
 *     base  name: a   size: 1      the server's
 *     a'    name: b   size: 1      made of what lies below
 *     b'    name: b   size: 2      the view
 */

const layersOf = ({ extra }: RecordNode): readonly Layer[] => extra?.layers ?? [];

function viewBelow(node: RecordNode, order: number): ClientRecord | null {
  const layers = layersOf(node);
  for (let index = layers.length - 1; index >= 0; index -= 1) {
    const layer = layers[index];
    if (layer !== undefined && layer.pending.order <= order) return layer.record;
  }
  return node.base;
}

function setLayers(state: CacheState, node: RecordNode, layers: readonly Layer[]): void {
  touch(state, node);
  extraOf(node).layers = layers;
  if (layers.length > 0) node.type.overlaid.add(node);
  else node.type.overlaid.delete(node);
}

function write(state: CacheState, node: RecordNode, layer: Layer): void {
  const { pending } = layer;
  if (pending.settled.has(node)) return;
  const layers = layersOf(node);
  const below = layers.filter((other) => other.pending.order < pending.order);
  const above = layers.filter((other) => other.pending.order > pending.order);
  setLayers(state, node, [...below, layer, ...above]);
}

/** Takes the layers of a mutation away; answers the records that had one. */
function strip(state: CacheState, pending: Pending): RecordNode[] {
  const stripped: RecordNode[] = [];
  for (const node of pending.nodes) {
    const layers = layersOf(node);
    const rest = layers.filter((layer) => layer.pending !== pending);
    if (rest.length === layers.length) continue;
    setLayers(state, node, rest);
    stripped.push(node);
  }
  return stripped;
}

function draftOf(state: CacheState, pending: Pending): Draft {
  const find = (type: string, id: string) => {
    const node = nodeOf(state, typeOf(state, type), id);
    pending.nodes.add(node);
    return node;
  };
  const change = (
    type: string,
    id: string,
    make: (below: ClientRecord | null) => ClientRecord | null,
  ): void => {
    const node = find(type, id);
    const below = viewBelow(node, pending.order);
    const record = make(below);
    if (record !== below) write(state, node, { pending, record });
  };
  return {
    get: (type, id) => viewBelow(find(type, id), pending.order),
    insert: (type, record) =>
      change(type, record.id, (below) => {
        return { ...state.rules.absent?.[type], ...record, version: below?.version ?? 0 };
      }),
    update: (type, id, fields) =>
      change(type, id, (below) => below && { ...below, ...fields, id, version: below.version }),
    delete: (type, id) => change(type, id, () => null),
    *all(type) {
      const store = typeOf(state, type);
      pending.types.add(store);
      for (const node of store.nodes.values()) {
        const record = viewBelow(node, pending.order);
        if (record !== null) yield record;
      }
    },
  };
}

function run(state: CacheState, pending: Pending): void {
  state.work.replayed += 1;
  pending.isDirty = false;
  pending.nodes.clear();
  pending.types.clear();
  pending.mutation.apply(draftOf(state, pending));
}

export function addPending(state: CacheState, mutation: Mutation): void {
  if (state.pending.some((pending) => pending.mutation.id === mutation.id)) return;
  const pending: Pending = {
    mutation,
    order: (state.order += 1),
    nodes: new Set(),
    types: new Set(),
    settled: new Set(),
    sequence: null,
    transactionId: null,
    isDirty: false,
  };
  state.pending.push(pending);
  state.step.hadPending = true;
  try {
    run(state, pending);
  } catch (error) {
    dropPending(state, pending);
    throw error;
  }
}

export function dropPending(state: CacheState, pending: Pending): void {
  state.pending = state.pending.filter((other) => other !== pending);
  for (const node of strip(state, pending)) {
    state.rebased.add(node);
    askAgain(state, node);
  }
  for (const node of pending.nodes) dropIfEmpty(state, node);
}

/** A record that is only mentioned by mutations that are gone leaves nothing behind. */
export function dropIfEmpty(state: CacheState, node: RecordNode): void {
  // Another one may have taken its place within this step.
  if (node.type.nodes.get(node.id) !== node) return;
  if (node.sequence >= 0 || node.base !== null || isHeld(node)) return;
  if (state.pending.some((pending) => pending.nodes.has(node))) return;
  dropNode(state, node);
}

function dependsOn({ nodes, types }: Pending, rebased: ReadonlySet<RecordNode>): boolean {
  for (const node of rebased) if (nodes.has(node) || types.has(node.type)) return true;
  return false;
}

/** Runs again what depends on the bases that moved in this step; drops what the base now has. */
export function replay(state: CacheState): void {
  const { rebased } = state;
  for (const pending of state.pending) {
    const { sequence } = pending;
    if (sequence !== null && sequence <= state.cursor) dropPending(state, pending);
  }
  for (const pending of state.pending) {
    if (!pending.isDirty && !dependsOn(pending, rebased)) continue;
    for (const node of strip(state, pending)) rebased.add(node);
    const read = [...pending.nodes];
    try {
      run(state, pending);
    } catch {
      // Its ground is gone; it shows nothing until the server decides.
      strip(state, pending);
    }
    for (const node of pending.nodes)
      if (layersOf(node).some((layer) => layer.pending === pending)) rebased.add(node);
    for (const node of read) dropIfEmpty(state, node);
    if (isSettled(pending)) dropPending(state, pending);
  }
  rebased.clear();
}

/** Whether the base has all that an answered mutation did. */
function isSettled({ sequence, transactionId, nodes, settled }: Pending): boolean {
  const isAnswered = sequence !== null || transactionId !== null;
  return isAnswered && [...nodes].every((node) => settled.has(node));
}

/** The base of these records has what a mutation did to them. */
export function settle(pending: Pending, nodes: Iterable<RecordNode>): void {
  for (const node of nodes) pending.settled.add(node);
  pending.isDirty = true;
}

export function pendingOf(state: CacheState, mutationId: string | undefined): Pending | undefined {
  return state.pending.find(({ mutation }) => mutation.id === mutationId);
}

export function reject(state: CacheState, mutationId: string): void {
  const pending = pendingOf(state, mutationId);
  if (pending !== undefined) dropPending(state, pending);
}

/** An equal view keeps its identity, whether it comes from the base or from a layer. */
export function keepIdentity(node: RecordNode, before: ClientRecord): void {
  const top = layersOf(node).at(-1);
  if (top === undefined) node.base = before;
  else top.record = before;
}
