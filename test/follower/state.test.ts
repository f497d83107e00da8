/**
 * Every event in every state, written out: the compiler counts the cells. A dot stands for "stays".
 */
import { expect, test } from "bun:test";
import { events, isHalted, isOver, states, transitions } from "../../src/follower/state.ts";
import type { FollowerEvent, State } from "../../src/follower/state.ts";

type Row = Record<FollowerEvent, State | ".">;

const halted: Row = {
  needsSnapshot: ".",
  snapshotDone: ".",
  behind: ".",
  caughtUp: ".",
  mismatch: ".",
  repaired: ".",
  failed: ".",
  retry: "connecting",
  poison: ".",
  otherHistory: ".",
  refusal: ".",
  resume: "connecting",
  promote: "promoted",
  stop: "stopped",
};
const over: Row = { ...halted, retry: ".", resume: ".", promote: ".", stop: "." };

const expected: Record<State, Row> = {
  connecting: {
    needsSnapshot: "backfilling",
    snapshotDone: ".",
    behind: "tailing",
    caughtUp: ".",
    mismatch: "repairing",
    repaired: ".",
    failed: "waiting",
    retry: ".",
    poison: "blocked",
    otherHistory: "foreign",
    refusal: "refused",
    resume: ".",
    promote: "promoted",
    stop: "stopped",
  },
  backfilling: {
    needsSnapshot: ".",
    snapshotDone: "tailing",
    behind: ".",
    caughtUp: ".",
    mismatch: ".",
    repaired: ".",
    failed: "waiting",
    retry: ".",
    poison: "blocked",
    otherHistory: "foreign",
    refusal: "refused",
    resume: ".",
    promote: "promoted",
    stop: "stopped",
  },
  tailing: {
    needsSnapshot: "backfilling",
    snapshotDone: ".",
    behind: ".",
    caughtUp: "live",
    mismatch: "repairing",
    repaired: ".",
    failed: "waiting",
    retry: ".",
    poison: "blocked",
    otherHistory: "foreign",
    refusal: "refused",
    resume: "connecting",
    promote: "promoted",
    stop: "stopped",
  },
  live: {
    needsSnapshot: "backfilling",
    snapshotDone: ".",
    behind: "tailing",
    caughtUp: ".",
    mismatch: "repairing",
    repaired: ".",
    failed: "waiting",
    retry: ".",
    poison: "blocked",
    otherHistory: "foreign",
    refusal: "refused",
    resume: "connecting",
    promote: "promoted",
    stop: "stopped",
  },
  repairing: {
    needsSnapshot: "backfilling",
    snapshotDone: ".",
    behind: ".",
    caughtUp: ".",
    mismatch: ".",
    repaired: "tailing",
    failed: "waiting",
    retry: ".",
    poison: "blocked",
    otherHistory: "foreign",
    refusal: "refused",
    resume: ".",
    promote: "promoted",
    stop: "stopped",
  },
  waiting: halted,
  blocked: halted,
  foreign: { ...halted, needsSnapshot: "backfilling", retry: "." },
  refused: halted,
  promoted: over,
  stopped: over,
};

test("every event in every state goes where the table says", () => {
  for (const state of states) {
    for (const event of events) {
      const target = expected[state][event];
      expect(`${state} ${event} → ${transitions[state][event]}`).toBe(
        `${state} ${event} → ${target === "." ? state : target}`,
      );
    }
  }
});

test("a follower that is over stays over; one that is halted goes on only by a person, time or the end", () => {
  for (const state of states) {
    const leaves = events.filter((event) => transitions[state][event] !== state);
    if (isOver(state)) expect(leaves).toEqual([]);
    else expect(leaves).toContain("stop");
    if (isHalted(state)) expect(leaves).toContain("resume");
  }
});
