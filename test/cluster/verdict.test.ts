/** The judge of lines is trusted with the verdict over real processes, so it must first convict logs that are wrong. */
import { expect, test } from "bun:test";
import { judgeOrder } from "./verdict.ts";

const sent = [
  ["a", "b", "c"],
  ["x", "y"],
];
const judge = (log: readonly string[]) => [
  ...judgeOrder({ sent }, new Map(log.map((record, at) => [record, at + 1]))),
];

test.each<[string, string[]]>([
  ["nothing", []],
  ["lines that mingle", ["a", "x", "b", "other", "y", "c"]],
  ["a line that broke off", ["x", "a", "b"]],
])("a log of %s is acquitted", (_, log) => {
  expect(judge(log)).toEqual([]);
});

test.each<[string, string[], number]>([
  ["two of a line the wrong way round", ["b", "a"], 1],
  ["the last before all others", ["c", "a", "b"], 1],
  ["one ahead of what it may rest on", ["x", "b"], 1],
  ["a line with a hole", ["a", "c"], 1],
  ["two broken lines", ["y", "x", "b", "a", "c"], 2],
])("a log of %s is convicted", (_, log, count) => {
  expect(judge(log)).toHaveLength(count);
});
