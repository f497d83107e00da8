/** What a browser loads, minified and compressed with brotli; README "Client" shows the same figures. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { brotliCompressSync } from "node:zlib";

const decoder = ["msgpackr/unpack"];
const react = ["react", "react/*"];
const whole = "createClient, openIndexedDb, openTabs";

/** Bytes; lower a budget when its part shrinks. The aims are 8,000 for the core, 14,000 for all of it. */
const parts = [
  { name: "the cache alone", file: "cache.ts", exports: "createCache", beside: [], budget: 7_200 },
  { name: "the core", file: "client.ts", exports: "createClient", beside: decoder, budget: 17_450 },
  {
    name: "with IndexedDB and tabs",
    file: "index.ts",
    exports: whole,
    beside: decoder,
    budget: 20_080,
  },
  { name: "and with the decoder", file: "index.ts", exports: whole, beside: [], budget: 24_880 },
  { name: "the React hooks", file: "react.ts", beside: react, budget: 1_200 },
];

test.each(parts)("$name: at most $budget bytes, nothing of Node, no server code", async (part) => {
  const { file, exports, beside, budget } = part;
  await mkdir(".cache/size", { recursive: true });
  const entry = `.cache/size/${part.name.replaceAll(" ", "-")}.ts`;
  const what = exports === undefined ? "*" : `{ ${exports} }`;
  await Bun.write(entry, `export ${what} from "${process.cwd()}/src/client/${file}";`);
  const { outputs, success } = await Bun.build({
    entrypoints: [entry],
    minify: true,
    target: "browser",
    conditions: ["browser"],
    external: beside,
  });
  const code = (await outputs[0]?.text()) ?? "";
  expect(success).toBe(true);
  expect(code).not.toMatch(/from"node:|require\(|hono|valibot|drizzle/);
  expect(brotliCompressSync(code).length).toBeLessThanOrEqual(budget);
});
