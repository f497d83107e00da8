/** What a browser loads, minified and compressed with brotli; README "Client" shows the same figures. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { brotliCompressSync } from "node:zlib";
import { budgets } from "../../package.json";

const decoder = ["msgpackr/unpack"];
const react = ["react", "react/*"];
const whole = "createClient, openIndexedDb, openTabs";

/**
 * Their budgets stand in `package.json`, in bytes; lower one when its part shrinks. The aims are 8,000
 * for the core, 14,000 for all of it.
 */
const parts = [
  { name: "the cache alone", file: "cache.ts", exports: "createCache", beside: [] },
  { name: "the core", file: "client.ts", exports: "createClient", beside: decoder },
  { name: "with IndexedDB and tabs", file: "index.ts", exports: whole, beside: decoder },
  { name: "and with the decoder", file: "index.ts", exports: whole, beside: [] },
  { name: "the React hooks", file: "react.ts", exports: undefined, beside: react },
] as const;

test.each(parts)("$name: within its budget, nothing of Node, no server code", async (part) => {
  const { file, exports, beside } = part;
  await mkdir(".cache/size", { recursive: true });
  const entry = `.cache/size/${part.name.replaceAll(" ", "-")}.ts`;
  const what = exports === undefined ? "*" : `{ ${exports} }`;
  await Bun.write(entry, `export ${what} from "${process.cwd()}/src/client/${file}";`);
  const { outputs, success } = await Bun.build({
    entrypoints: [entry],
    minify: true,
    target: "browser",
    conditions: ["browser"],
    external: [...beside],
  });
  const code = (await outputs[0]?.text()) ?? "";
  expect(success).toBe(true);
  expect(code).not.toMatch(/from"node:|require\(|hono|valibot|drizzle/);
  expect(brotliCompressSync(code).length).toBeLessThanOrEqual(budgets[part.name]);
});
