import { expect, test } from "bun:test";
import { countOf } from "../../src/tools/count.ts";

test("one is counted as one, and every other count as many", () => {
  const files = ([0, 1, 2, "1"] as const).map((count) => countOf(count, "file"));
  expect(files).toEqual(["0 files", "1 file", "2 files", "1 file"]);
  expect(countOf(1, "entry", "entries")).toBe("1 entry");
  expect(countOf(40, "entry", "entries")).toBe("40 entries");
});
