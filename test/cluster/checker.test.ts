/**
 * The checker is trusted with the verdict over real processes, so it must first convict histories that
 * are known to be wrong, each for its own reason, and acquit those that are right.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { findAnomalies } from "./checker.ts";
import type { History, WriteSeen } from "./checker.ts";

const write = (
  [startedAt, endedAt]: readonly [number, number],
  outcome: WriteSeen["outcome"],
  more: Partial<WriteSeen> = {},
): WriteSeen => ({ record: "r", value: `v${startedAt}`, startedAt, endedAt, outcome, ...more });
const history = (more: Partial<History>): History => ({
  writes: [],
  reads: [],
  subscribers: [],
  ...more,
});

const right = history({
  writes: [
    write([0, 10], { sequence: 1, version: 1 }),
    write([5, 30], { sequence: 3, version: 3 }),
    write([6, 20], { sequence: 2, version: 2 }),
    write([40, 50], null),
  ],
  reads: [
    { record: "r", startedAt: 31, minSequence: 3, found: { version: 3, value: "v5" } },
    { record: "r", startedAt: 60, minSequence: 3, found: { version: 4, value: "v40" } },
    { record: "none", startedAt: 60, minSequence: 3, found: null },
  ],
  subscribers: [
    {
      after: 1,
      events: [
        { sequence: 2, span: 1, records: [{ record: "r", version: 2, value: "v6" }] },
        { sequence: 3, span: 1, records: [{ record: "r", version: 3, value: "v5" }] },
      ],
    },
    // Collapsed: the later event covers the earlier one.
    {
      after: 0,
      events: [{ sequence: 3, span: 3, records: [{ record: "r", version: 3, value: "v5" }] }],
    },
  ],
});

test("a right history is acquitted: overlaps in any order, lost answers, collapsed events", () => {
  expect(findAnomalies(right)).toEqual([]);
});

const event = (sequence: number, version: number, value: string, span = 1) => ({
  sequence,
  span,
  records: [{ record: "r", version, value }],
});
const one = write([0, 1], { sequence: 1, version: 1 });
const two = write([2, 3], { sequence: 2, version: 2 });

const wrong: Readonly<Record<string, History>> = {
  "one sequence given twice": history({
    writes: [one, write([0, 1], { sequence: 1, version: 2 })],
  }),
  "a sequence that goes back in time": history({
    writes: [
      write([0, 1], { sequence: 2, version: 1 }),
      write([2, 3], { sequence: 1, version: 2 }),
    ],
  }),
  "a version given twice": history({ writes: [one, write([2, 3], { sequence: 2, version: 1 })] }),
  "an expected version that was not the current one": history({
    writes: [one, two, write([4, 5], { sequence: 3, version: 3 }, { expectedVersion: 1 })],
  }),
  "a lost write": history({
    writes: [one, two],
    reads: [{ record: "r", startedAt: 9, minSequence: 2, found: { version: 1, value: "v0" } }],
  }),
  "a lost record": history({
    writes: [one],
    reads: [{ record: "r", startedAt: 9, minSequence: 1, found: null }],
  }),
  "a value nobody wrote": history({
    writes: [one],
    reads: [{ record: "r", startedAt: 9, minSequence: 1, found: { version: 1, value: "else" } }],
  }),
  "a refused write that took effect": history({
    writes: [one, write([2, 3], "refused")],
    reads: [{ record: "r", startedAt: 9, minSequence: 1, found: { version: 2, value: "v2" } }],
  }),
  "an event that comes twice": history({
    writes: [one],
    subscribers: [{ after: 0, events: [event(1, 1, "v0"), event(1, 1, "v0")] }],
  }),
  "events out of order": history({
    writes: [one, two],
    subscribers: [{ after: 0, events: [event(2, 2, "v2", 2), event(1, 1, "v0")] }],
  }),
  "a gap": history({
    writes: [one, two],
    subscribers: [{ after: 0, events: [event(2, 2, "v2")] }],
  }),
  "an event that was passed over": history({
    writes: [one, two],
    subscribers: [{ after: 0, events: [{ sequence: 2, span: 2, records: [] }] }],
  }),
};

for (const [name, bad] of Object.entries(wrong)) {
  test(`a wrong history is convicted: ${name}`, () => {
    expect(findAnomalies(bad)).not.toEqual([]);
  });
}

/** A serial run of a correct register, with overlaps drawn so that real time still agrees. */
const serialHistory = fc
  .array(fc.record({ record: fc.constantFrom("a", "b"), isAnswered: fc.boolean() }), {
    minLength: 3,
    maxLength: 30,
  })
  .map((steps) => {
    const versions = new Map<string, number>();
    const writes = steps.map(({ record, isAnswered }, index): WriteSeen => {
      const version = (versions.get(record) ?? 0) + 1;
      versions.set(record, version);
      const outcome = isAnswered ? { sequence: index + 1, version } : null;
      return {
        record,
        value: `${index}`,
        startedAt: index * 10 - 7,
        endedAt: index * 10 + 7,
        outcome,
      };
    });
    return history({ writes });
  });

test("any serial history is acquitted; swapping the answers of two writes apart in time is convicted", () => {
  fc.assert(
    fc.property(serialHistory, fc.nat(), (serial, at) => {
      expect(findAnomalies(serial)).toEqual([]);
      const answered = serial.writes.filter(({ outcome }) => outcome !== null);
      if (answered.length < 3) return;
      const left = answered[at % (answered.length - 2)];
      const right = answered[(at % (answered.length - 2)) + 2];
      const swapped = serial.writes.map((one) =>
        one === left
          ? { ...one, outcome: right?.outcome ?? null }
          : one === right
            ? { ...one, outcome: left?.outcome ?? null }
            : one,
      );
      expect(findAnomalies({ ...serial, writes: swapped })).not.toEqual([]);
    }),
  );
});
