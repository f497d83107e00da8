import type { FieldMerge } from "./define.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Equality of JSON values, whatever the order of their keys. */
export function isEqualJson(left: unknown, right: unknown): boolean {
  if (left === right || ((left ?? null) === null && (right ?? null) === null)) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
    return false;
  }
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every(
    (key) =>
      Object.hasOwn(right, key) && isEqualJson((left as Fields)[key], (right as Fields)[key]),
  );
}

/** One text for all that are equal: a set may have as many items as fit into a record. */
const nameOf = (item: unknown): string =>
  JSON.stringify(item ?? null, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(
          Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)),
        )
      : inner,
  );

function mergeSet(base: readonly unknown[], theirs: readonly unknown[], mine: readonly unknown[]) {
  const [inBase, inMine] = [new Set(base.map(nameOf)), new Set(mine.map(nameOf))];
  const kept = theirs.filter((item) => {
    const name = nameOf(item);
    return inMine.has(name) || !inBase.has(name);
  });
  const inEither = new Set([...inBase, ...kept.map(nameOf)]);
  return [...kept, ...mine.filter((item) => !inEither.has(nameOf(item)))];
}

/** One field that both sides changed since `base`. */
function mergeField(rule: FieldMerge, base: unknown, sides: { theirs: unknown; mine: unknown }) {
  const { theirs, mine } = sides;
  if (rule === "counter" && typeof mine === "number") {
    const from = typeof base === "number" ? base : 0;
    return (typeof theirs === "number" ? theirs : 0) + (mine - from);
  }
  if (rule === "set" && Array.isArray(mine)) {
    return mergeSet(Array.isArray(base) ? base : [], Array.isArray(theirs) ? theirs : [], mine);
  }
  return mine;
}

/**
 * Joins a late change into the current record, field by field, against the `base` its author saw:
 * what the author did not change stays as it is now; what both changed follows the field's rule.
 * A field that `base` does not have counts as changed by the author.
 */
export function mergeFields(
  current: Fields,
  late: { readonly base: Fields; readonly fields: Fields },
  rules: Readonly<Record<string, FieldMerge>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  for (const field of Object.keys(late.fields)) {
    const mine = late.fields[field];
    const hasBase = Object.hasOwn(late.base, field);
    const base = late.base[field];
    if (hasBase && isEqualJson(mine, base)) continue;
    const isTheirsChanged = hasBase && !isEqualJson(current[field], base);
    const rule = rules[field] ?? "last-write-wins";
    merged[field] = isTheirsChanged
      ? mergeField(rule, base, { theirs: current[field], mine })
      : mine;
  }
  return merged;
}
