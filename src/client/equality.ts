import type { ClientRecord } from "./record.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Deep equality of values that travel: plain objects, arrays, bytes and primitives. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || !left || !right) return false;
  if (left.constructor !== right.constructor) return false;
  if (left instanceof Date) return Number(left) === Number(right);
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => {
      return Object.hasOwn(right, name) && isEqual((left as Fields)[name], (right as Fields)[name]);
    })
  );
}

/** `next`, or `before` when they are equal, so that what did not change keeps its identity. */
export function share(before: ClientRecord | null, next: ClientRecord): ClientRecord {
  if (before === null || before === next) return next;
  let isSame = true;
  let shared = next;
  let more = 0;
  for (const field in next) {
    more += 1;
    const old = before[field];
    const value = next[field];
    if (old === value) isSame &&= old !== undefined || field in before;
    else if (typeof value === "object" && isEqual(old, value)) {
      if (shared === next) shared = { ...next };
      (shared as Record<string, unknown>)[field] = old;
    } else isSame = false;
  }
  if (isSame) for (const _ in before) more -= 1;
  return isSame && more === 0 ? before : shared;
}

/** `old` when `next` holds the same values, so that readers see that nothing changed. */
export function keep<Snapshot extends object>(old: Snapshot, next: Snapshot): Snapshot {
  for (const name in next) if (next[name] !== old[name]) return next;
  return old;
}
