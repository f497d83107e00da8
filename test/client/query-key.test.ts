import { expect, test } from "bun:test";
import { toQueryKey } from "../../src/client/query-key.ts";

test("the same question has one key, however it is written (CACHE-06, DD-06)", () => {
  const one = toQueryKey("file.by_directory", {
    locationId: "l",
    where: { a: 1, b: [2, { d: 1 }] },
  });
  const other = toQueryKey("file.by_directory", {
    where: { b: [2, { d: 1 }], a: 1 },
    after: undefined,
    locationId: "l",
  });
  expect(other.text).toBe(one.text);
});

test("different questions never share a key", () => {
  const texts = [
    toQueryKey("a.b", { c: 1 }),
    toQueryKey("a.b", { c: "1" }),
    toQueryKey("a.b", { c: [1] }),
    toQueryKey("a.b", { c: null }),
    toQueryKey("a.b"),
    toQueryKey("a.c"),
  ].map(({ text }) => text);
  expect(new Set(texts).size).toBe(texts.length);
});
