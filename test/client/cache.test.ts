import { expect, test } from "bun:test";
import { changed, createWorld, file } from "./world.ts";

test("an event changes the list that holds the record and tells its subscriber once", () => {
  const { cache, list } = createWorld();
  const directory = list("directory", { parentId: "p" }, [file("a"), file("b")]);
  const before = directory.data();
  expect(cache.applyEvent(changed(6, file("a", { name: "a2", version: 2 })))).toBe("applied");
  expect(directory.names()).toEqual(["a2", "b"]);
  expect(directory.data()[1]).toBe(before[1]!);
  expect(directory.calls()).toBe(1);
});
