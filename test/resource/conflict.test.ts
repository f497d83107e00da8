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
