import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  createComparison,
  fileIdOf,
  type CurrentFile,
  type Difference,
} from "../../src/tools/diff.ts";
import { DIRECTORY_MIME, extensionOf, type FoundFile } from "../../src/tools/walk.ts";

const location = "6594f7fa-1e86-5c56-b37d-c2fbd7f083bc";

/** A tree as a person would draw it: a directory holds names, a file has a size and a time. */
interface Tree {
  readonly [name: string]: Tree | readonly [size: number, ms: number];
}

function* flatten(tree: Tree, parentPath: string | null = null): Generator<FoundFile> {
  for (const [name, node] of Object.entries(tree)) {
    const path = parentPath === null ? name : `${parentPath}/${name}`;
    const [size, ms] = isLeaf(node) ? node : [0, 7];
    const mime = isLeaf(node) ? null : DIRECTORY_MIME;
    const extension = isLeaf(node) ? extensionOf(name) : null;
    const modifiedAt = new Date(ms).toISOString();
    yield { path, parentPath, name, extension, size, mime, modifiedAt };
    if (!isLeaf(node)) yield* flatten(node, path);
  }
}

function isLeaf(node: Tree[string]): node is readonly [number, number] {
  return Array.isArray(node);
}

function compare(current: Iterable<CurrentFile>, tree: Tree): Difference {
  const comparison = createComparison(location, current);
  for (const found of flatten(tree)) comparison.add(found);
  return comparison.finish();
}

/** What a library does with the changes, one by one; no record may lose its parent on the way. */
function apply(current: readonly CurrentFile[], { changes }: Difference): CurrentFile[] {
  const records = new Map(current.map((record) => [record.id, record]));
  for (const change of changes) {
    const known = records.get(change.id);
    if (change.operation === "delete") {
      expect(known).toBeDefined();
      for (const { parentId } of records.values()) expect(parentId).not.toBe(change.id);
      records.delete(change.id);
      continue;
    }
    expect(known === undefined).toBe(change.operation === "insert");
    const { data } = change;
    const base = known ?? { id: change.id, parentId: null, name: "", size: 0, mime: null };
    const next: CurrentFile = {
      ...base,
      ...("name" in data ? { name: String(data["name"]) } : {}),
      ...("parent_id" in data ? { parentId: toText(data["parent_id"]) } : {}),
      ...("size" in data ? { size: Number(data["size"]) } : {}),
      ...("mime" in data ? { mime: toText(data["mime"]) } : {}),
      modifiedMs:
        "modified_at" in data
          ? Date.parse(String(data["modified_at"]))
          : (known?.modifiedMs ?? null),
      hasContentId: "content_id" in data ? false : (known?.hasContentId ?? false),
    };
    if (next.parentId !== null) expect(records.has(next.parentId)).toBe(true);
    records.set(next.id, next);
  }
  return [...records.values()];
}

function toText(value: string | number | null | undefined): string | null {
  return typeof value === "string" ? value : null;
}

/** The records as paths with their traits, so that they can be held against a found tree. */
function toPaths(records: readonly CurrentFile[]): string[] {
  const byId = new Map(records.map((record) => [record.id, record]));
  const pathOf = ({ parentId, name }: CurrentFile): string => {
    const parent = parentId === null ? undefined : byId.get(parentId);
    return parent === undefined ? name : `${pathOf(parent)}/${name}`;
  };
  return records
    .map((record) => `${pathOf(record)} ${record.size} ${record.modifiedMs} ${record.mime}`)
    .sort();
}

function toFoundPaths(tree: Tree): string[] {
  return [...flatten(tree)]
    .map(
      ({ path, size, modifiedAt, mime }) =>
        `${path} ${size} ${Date.parse(modifiedAt ?? "")} ${mime}`,
    )
    .sort();
}

const names = fc.constantFrom("a", "b", "c", "a.txt", "b.txt", ".hidden");
const { trees } = fc.letrec<{ trees: Tree; node: Tree[string] }>((tie) => ({
  trees: fc.dictionary(names, tie("node"), { maxKeys: 4 }),
  node: fc.oneof(
    { maxDepth: 4 },
    fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 3 })),
    tie("trees"),
  ),
}));

test("the changes of a difference turn the records into the found tree, through any history", () => {
  fc.assert(
    fc.property(fc.array(trees, { minLength: 1, maxLength: 5 }), (history) => {
      let records: CurrentFile[] = [];
      for (const tree of history) {
        const difference = compare(records, tree);
        records = apply(records, difference);
        expect(toPaths(records)).toEqual(toFoundPaths(tree));
        expect(compare(records, tree).changes).toEqual([]);
      }
    }),
    { numRuns: 500 },
  );
});

test("the counts of a difference are those of its changes", () => {
  fc.assert(
    fc.property(trees, trees, (before, after) => {
      const records = apply([], compare([], before));
      const difference = compare(records, after);
      const count = (operation: string): number =>
        difference.changes.filter((change) => change.operation === operation).length;
      expect(difference.addedCount).toBe(count("insert"));
      expect(difference.changedCount + difference.movedCount).toBe(count("update"));
      expect(difference.deletedCount).toBe(count("delete"));
      expect(difference.foundCount).toBe(toFoundPaths(after).length);
    }),
  );
});

test("the first index gives every file the id that follows from its path", () => {
  const records = apply([], compare([], { a: { "b.txt": [1, 1] } }));
  expect(records.map(({ id }) => id)).toEqual([
    fileIdOf(location, "a"),
    fileIdOf(location, "a/b.txt"),
  ]);
});

test("a renamed file keeps its record", () => {
  const records = apply([], compare([], { "a.txt": [5, 1], "b.txt": [6, 1] }));
  const { changes, movedCount } = compare(records, { "c.md": [5, 1], "b.txt": [6, 1] });
  expect(movedCount).toBe(1);
  expect(changes).toEqual([
    {
      resource_type: "file",
      operation: "update",
      id: fileIdOf(location, "a.txt"),
      data: { name: "c.md", extension: "md" },
    },
  ]);
});

test("a renamed directory is one change, however much it holds", () => {
  const holds = { x: [1, 1], y: [1, 1], deeper: { z: [1, 1] } } satisfies Tree;
  const records = apply([], compare([], { old: holds }));
  const { changes } = compare(records, { new: holds });
  expect(changes.map(({ id, operation }) => [id, operation])).toEqual([
    [fileIdOf(location, "old"), "update"],
  ]);
});

test("a file that moved into a new directory comes after that directory", () => {
  const records = apply([], compare([], { "a.txt": [5, 1] }));
  const { changes } = compare(records, { sub: { "a.txt": [5, 1] } });
  expect(changes.map(({ operation }) => operation)).toEqual(["insert", "update"]);
});

test("what could have moved to two places is new in both", () => {
  const records = apply([], compare([], { a: [5, 1] }));
  const { addedCount, movedCount, deletedCount } = compare(records, { b: [5, 1], c: [5, 1] });
  expect([addedCount, movedCount, deletedCount]).toEqual([2, 0, 1]);
});

test("a new file at the path of one that moved gets an id of its own", () => {
  const first = apply([], compare([], { a: [5, 1] }));
  const second = apply(first, compare(first, { b: [5, 1] }));
  const third = apply(second, compare(second, { a: [9, 2], b: [5, 1] }));
  expect(new Set(third.map(({ id }) => id)).size).toBe(2);
  expect(third.find(({ name }) => name === "b")?.id).toBe(fileIdOf(location, "a"));
});

test("a changed file loses the name of its old content, and a renamed one keeps it", () => {
  const records = apply([], compare([], { a: [5, 1], b: [6, 2] })).map((record) => ({
    ...record,
    hasContentId: true,
  }));
  const { changes } = compare(records, { a: [7, 3], c: [6, 2] });
  expect(changes.map((change) => ("data" in change ? Object.keys(change.data) : []))).toEqual([
    ["size", "modified_at", "content_id"],
    ["name", "extension"],
  ]);
});

test("records that hang in a circle or twice at one place are deleted", () => {
  const one = { size: 1, mime: null, modifiedMs: 1, hasContentId: false };
  const records: CurrentFile[] = [
    { ...one, id: "1", parentId: "2", name: "x" },
    { ...one, id: "2", parentId: "1", name: "y" },
    { ...one, id: "3", parentId: null, name: "a" },
    { ...one, id: "4", parentId: null, name: "a" },
  ];
  const { changes } = compare(records, { a: [1, 1] });
  expect(changes.map(({ id }) => id).sort()).toEqual(["1", "2", "4"]);
});

test("what lies where the walk could not look keeps its records, and is not taken for what moved", () => {
  const before = {
    gone: [1, 1],
    shut: { x: [2, 2], sub: { y: [3, 3] } },
    odd: [4, 4],
  } satisfies Tree;
  const look = (tree: Tree, ...unread: string[]) => lookAt(before, tree, ...unread);
  const lookAt = (known: Tree, tree: Tree, ...unread: string[]) => {
    const records = apply([], compare([], known));
    const comparison = createComparison(location, records);
    for (const found of flatten(tree)) comparison.add(found);
    for (const path of unread) comparison.keep(path);
    return comparison.finish().changes.map(({ operation, id }) => [operation, id]);
  };
  const isGone = ["delete", fileIdOf(location, "gone")];
  expect(look({ shut: {} }, "shut", "odd", "never/known")).toEqual([isGone]);
  expect(look({ shut: { sub: {} }, odd: [4, 4] }, "shut/sub", "shut/x")).toEqual([isGone]);
  const copied = look({ shut: {}, odd: [4, 4], copy: [3, 3] }, "shut");
  expect(copied).toEqual([["insert", fileIdOf(location, "copy")], isGone]);
  const moved = lookAt({ shut: { x: [2, 2] }, gone: [1, 1] }, { moved: {} }, "moved");
  expect(moved).toEqual([["update", fileIdOf(location, "shut")], isGone]);
  expect(look({ shut: {} })).toHaveLength(5);
});
