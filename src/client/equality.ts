import type { ClientRecord } from "./record.ts";

/** Deep equality of values that travel: plain objects, arrays, bytes and primitives. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || !left || !right) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  if (left.constructor !== right.constructor) return false;
  if (left instanceof Date && right instanceof Date) return left.getTime() === right.getTime();
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  const other = new Map(Object.entries(right));
  return Object.entries(left).every(
    ([key, value]) => other.has(key) && isEqual(value, other.get(key)),
  );
}

/** `next`, or `before` when they are equal, so that what did not change keeps its identity. */
export function share(before: ClientRecord | null, next: ClientRecord): ClientRecord {
  if (before === null || before === next) return next;
  let isSame = true;
  let shared: Record<string, unknown> | null = null;
  let count = 0;
  for (const field in next) {
    count += 1;
    const old = before[field];
    const value = next[field];
    if (old === value) {
      if (value === undefined && !(field in before)) isSame = false;
    } else if (typeof value === "object" && value !== null && isEqual(old, value)) {
      shared ??= { ...next };
      shared[field] = old;
    } else isSame = false;
  }
  if (isSame) for (const _ in before) count -= 1;
  if (isSame && count === 0) return before;
  return shared === null ? next : { ...shared, id: next.id, version: next.version };
}

/** A rough size in memory, for the bound on bytes. */
export function bytesOf(record: ClientRecord | null): number {
  if (record === null) return 0;
  let bytes = 100;
  for (const field in record) {
    const value = record[field];
    if (typeof value === "string") bytes += 24 + value.length;
    else if (typeof value === "object" && value !== null) bytes += 2 * JSON.stringify(value).length;
    else bytes += 8;
  }
  return bytes;
}
