import { expect, test } from "bun:test";
import { version } from "uuid";
import { createId, isId } from "../../src/base/id.ts";

test("ids are UUIDs of version 7 that rise, however fast they are made", () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, createId);
  expect(ids.every((id) => isId(id) && version(id) === 7)).toBe(true);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  const made = Number.parseInt(ids[0]?.replace("-", "").slice(0, 12) ?? "", 16);
  expect(Math.abs(made - before)).toBeLessThan(5_000);
});
