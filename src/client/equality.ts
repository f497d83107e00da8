import type { ClientRecord } from "./record.ts";

/** Deep equality of values that travel: plain objects, arrays, bytes and primitives. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || !left || !right) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  if (left.constructor !== right.constructor) return false;
  if (left instanceof Date && right instanceof Date) return left.getTime() === right.getTime();
  return isEqualObject(left as Fields, right as Fields);
}

type Fields = Readonly<Record<string, unknown>>;

function isEqualObject(left: Fields, right: Fields): boolean {
  let count = 0;
  for (const key in left) {
    if (!Object.hasOwn(right, key) || !isEqual(left[key], right[key])) return false;
    count += 1;
  }
  for (const _ in right) count -= 1;
  return count === 0;
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
