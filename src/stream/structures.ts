import type { Registry } from "../resource/registry.ts";

/** The field names of one kind of map, in the order they are sent. */
export type Structure = readonly string[];

/** Records beyond this many kinds are sent as plain maps: their ids then no longer fit one byte. */
const STRUCTURES_MAX = 32;

const envelope = ["id", "timestamp", "library_id", "sequence", "span", "epoch", "transaction_id"];

const core: readonly Structure[] = [
  ["envelope", "kind"],
  envelope,
  [...envelope, "mutation_id"],
  ["id", "timestamp", "library_id", "epoch"],
  ["type", "data"],
  ["resource_type", "resource"],
  ["resource_type", "resources", "deleted_ids", "operation"],
  ["resource_type", "resource_id", "version"],
  ["resource_type", "affected_count", "operation_token", "mode", "hints"],
  ["heartbeat"],
  ["head", "timestamp", "token_expires_in"],
  ["skip"],
];

/**
 * What `?records=1` refers to by number. It follows from the registry alone, so that whoever joins
 * late, or comes back to another node, decodes frames that were encoded before.
 */
export function structuresOf(registry: Registry): readonly Structure[] {
  const resources = registry.resources
    .filter(({ domain }) => domain !== "state")
    .map(({ synced }) => ["id", "version", ...synced.map(({ name }) => name)]);
  return [...core, ...resources].slice(0, STRUCTURES_MAX);
}

interface Node {
  readonly next: Map<string, Node>;
  isEnd: boolean;
}

/** Tells whether an object has exactly the fields of a structure, in its order. */
export function createMatcher(structures: readonly Structure[]): (value: object) => boolean {
  const root: Node = { next: new Map(), isEnd: false };
  for (const names of structures) {
    let node = root;
    for (const name of names) {
      const next: Node = node.next.get(name) ?? { next: new Map(), isEnd: false };
      node.next.set(name, next);
      node = next;
    }
    node.isEnd = true;
  }
  return (value) => {
    let node: Node | undefined = root;
    for (const name in value) {
      node = node.next.get(name);
      if (node === undefined) return false;
    }
    return node.isEnd;
  };
}
