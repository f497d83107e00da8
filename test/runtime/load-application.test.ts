/** What is wrong with the plugins of a folder is told with the name of the file, because people write it. */
import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundledPlugins } from "../../plugins/index.ts";
import { loadApplication } from "../../src/runtime/process.ts";

test.each([
  ["export const plugins = [", "cannot be loaded: Unexpected end of file"],
  [
    "export const plugins = [1;\nconst b = {;",
    'cannot be loaded: Expected "]" but found ";" (PATH:1:26)',
  ],
  [
    "throw new Error('no such thing'); export const plugins = [];",
    "cannot be loaded: no such thing",
  ],
  ["export default [];", 'must export an array named "plugins".'],
  [
    "export const plugins = [], routes = {};",
    'must export a function as "routes", or nothing of that name.',
  ],
])("a file with %p does not load", async (source, why) => {
  const folder = await mkdtemp(join(tmpdir(), "syncline-plugins-"));
  try {
    const path = join(folder, "syncline.config.ts");
    expect((await loadApplication(path)).plugins).toBe(bundledPlugins);
    await writeFile(path, source);
    await expect(loadApplication(path)).rejects.toThrow(`${path} ${why.replace("PATH", path)}`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
