import { expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createWalkReport,
  extensionOf,
  walk,
  type FoundFile,
  type WalkReport,
} from "../../src/tools/walk.ts";

/** A directory of its own for each test, gone when the test is over. */
async function createDirectory() {
  const path = await mkdtemp(join(tmpdir(), "syncline-walk-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function findAll(top: string, report: WalkReport = createWalkReport()): Promise<FoundFile[]> {
  return await Array.fromAsync(walk(top, report));
}

test("a walk finds all files, hidden ones too, each below a directory it has named before", async () => {
  await using directory = await createDirectory();
  await mkdir(join(directory.path, "a/b"), { recursive: true });
  await mkdir(join(directory.path, ".config"));
  for (const path of ["a/b/deep.txt", "a/photo.JPG", ".config/x", ".profile"]) {
    await writeFile(join(directory.path, path), "12345");
  }

  const found = await findAll(directory.path);

  expect(found.map(({ path }) => path).sort()).toEqual(
    [".config", ".config/x", ".profile", "a", "a/b", "a/b/deep.txt", "a/photo.JPG"].sort(),
  );
  const seen = new Set<string>();
  for (const { path, parentPath } of found) {
    if (parentPath !== null) expect(seen.has(parentPath)).toBe(true);
    seen.add(path);
  }
});

test("a file comes with its size, its type and its time to the millisecond", async () => {
  await using directory = await createDirectory();
  await writeFile(join(directory.path, "photo.JPG"), "12345");
  await utimes(join(directory.path, "photo.JPG"), 0, 1_700_000_000.123);

  const [photo] = await findAll(directory.path);

  expect(photo).toEqual({
    path: "photo.JPG",
    parentPath: null,
    name: "photo.JPG",
    extension: "JPG",
    size: 5,
    mime: "image/jpeg",
    modifiedAt: "2023-11-14T22:13:20.123Z",
  });
});

test("a directory has no size and no extension, so that only real changes differ", async () => {
  await using directory = await createDirectory();
  await mkdir(join(directory.path, "site.d"));
  const [found] = await findAll(directory.path);
  expect(found).toMatchObject({ size: 0, extension: null, mime: "inode/directory" });
});

test("a symbolic link is found but not followed, even in a circle", async () => {
  await using directory = await createDirectory();
  await mkdir(join(directory.path, "a"));
  await symlink(directory.path, join(directory.path, "a/up"));
  await symlink("/nowhere", join(directory.path, "broken"));

  const found = await findAll(directory.path);

  expect(found.map(({ path, mime }) => [path, mime])).toEqual([
    ["a", "inode/directory"],
    ["broken", "inode/symlink"],
    ["a/up", "inode/symlink"],
  ]);
});

test("what vanishes during the walk is counted and told, and the walk goes on", async () => {
  await using directory = await createDirectory();
  await mkdir(join(directory.path, "a"));
  await mkdir(join(directory.path, "b"));
  await writeFile(join(directory.path, "b/x"), "");
  const report = createWalkReport();
  const paths: string[] = [];
  for await (const { path } of walk(directory.path, report)) {
    paths.push(path);
    if (path === "a") await rm(join(directory.path, "a"), { recursive: true });
  }
  expect(paths).toEqual(["a", "b", "b/x"]);
  expect(report.unreadableCount).toBe(1);
  expect(report.unreadable[0]).toStartWith("a: ");
});

test("a top that is not there is an error, not an empty tree", async () => {
  await expect(findAll("/nowhere/at/all")).rejects.toThrow("ENOENT");
});

test("an extension follows the last dot, and a leading dot begins none", () => {
  const names = ["a.tar.gz", ".profile", "plain", "end.", "x".padEnd(10, ".y")];
  expect(names.map(extensionOf)).toEqual(["gz", null, null, null, null]);
});
