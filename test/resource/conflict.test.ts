import { expect, test } from "bun:test";
import fc from "fast-check";
import { isEqualJson, mergeFields } from "../../src/resource/conflict.ts";

const rules = { tags: "set", count: "counter" } as const;
const record = fc.record({
  name: fc.string(),
  tags: fc.uniqueArray(fc.integer({ min: 0, max: 9 })),
  count: fc.integer({ min: -100, max: 100 }),
});

test("what the author did not change stays as it is now", () => {
  fc.assert(
    fc.property(record, record, (base, current) => {
      expect(mergeFields(current, { base, fields: base }, rules)).toEqual({});
    }),
  );
});

test("a late change over an unchanged record is simply the change", () => {
  fc.assert(
    fc.property(record, record, (base, fields) => {
      const merged = { ...base, ...mergeFields(base, { base, fields }, rules) };
      expect(isEqualJson(merged, fields)).toBe(true);
    }),
  );
});

test("counters add both sides, sets keep what either added and drop what either removed", () => {
  fc.assert(
    fc.property(record, record, record, (base, theirs, mine) => {
      const merged = { ...theirs, ...mergeFields(theirs, { base, fields: mine }, rules) };
      expect(merged.count).toBe(theirs.count + mine.count - base.count);
      const expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((tag) => {
        const was = base.tags.includes(tag);
        return was
          ? theirs.tags.includes(tag) && mine.tags.includes(tag)
          : theirs.tags.includes(tag) || mine.tags.includes(tag);
      });
      expect((merged.tags as number[]).toSorted((a, b) => a - b)).toEqual(expected);
    }),
  );
});

test("items of a set are the same whatever the order of their keys, and may be as many as fit", () => {
  const [base, theirs, mine] = [
    [{ a: 1, b: { c: 2, d: null } }],
    [{ b: { d: null, c: 2 }, a: 1 }, "theirs"],
    [{ b: { c: 2, d: null }, a: 1 }, "mine"],
  ];
  const merged = (sides: { base: unknown; theirs: unknown; mine: unknown }) =>
    mergeFields(
      { tags: sides.theirs },
      { base: { tags: sides.base }, fields: { tags: sides.mine } },
      rules,
    )["tags"];
  expect(merged({ base, theirs, mine })).toEqual([theirs?.[0], "theirs", "mine"]);
  const many = (name: string) => Array.from({ length: 60_000 }, (_, at) => `${name}${at}`);
  const both = merged({ base: [], theirs: many("t"), mine: many("m") }) as string[];
  expect(new Set(both).size).toBe(120_000);
});
