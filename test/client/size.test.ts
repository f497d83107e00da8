/** What a browser loads for `./client`: the cache, the connection, tabs, IndexedDB and the decoder. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { brotliCompressSync } from "node:zlib";

/** Of which the cache takes 7.1, msgpackr/unpack 5.0 and idb 1.3. The aim is 14; do not let it grow. */
const BYTES_MAX = 24_500;

test("the client fits its budget and needs nothing of Node", async () => {
  const { outputs, success } = await Bun.build({
    entrypoints: ["src/client/index.ts"],
    minify: true,
    target: "browser",
    conditions: ["browser"],
  });
  const code = (await outputs[0]?.text()) ?? "";
  expect(success).toBe(true);
  expect(code).not.toMatch(/from"node:|require\(/);
  expect(brotliCompressSync(code).length).toBeLessThan(BYTES_MAX);
});

const parts = [
  { name: "createCache", file: "cache.ts", budget: 8_000 },
  { name: "createHooks", file: "react.ts", budget: 1_500 },
];

test.each(parts)("$name alone fits its budget of $budget bytes", async ({ name, file, budget }) => {
  await mkdir(".cache/size", { recursive: true });
  const entry = `.cache/size/${name}.ts`;
  await Bun.write(entry, `export { ${name} } from "${process.cwd()}/src/client/${file}";`);
  const external = ["react", "react/*"];
  const built = await Bun.build({
    entrypoints: [entry],
    minify: true,
    target: "browser",
    external,
  });
  const code = await built.outputs[0]!.arrayBuffer();
  expect(brotliCompressSync(code).byteLength).toBeLessThanOrEqual(budget);
});
