import { expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { brotliCompressSync } from "node:zlib";
import type { budgets } from "../../package.json";

const decoder = ["msgpackr/unpack"];
const react = ["react", "react/*"];
const whole = "createClient, openIndexedDb, openTabs";

interface ClientPart {
  readonly name: keyof typeof budgets;
  readonly file: string;
  readonly exports: string;
  readonly beside: readonly string[];
}

/**
 * Their budgets stand in `package.json`, in bytes; lower one when its part shrinks. The aims are 8,000
 * for the core, 14,000 for all of it.
 */
export const clientParts: readonly ClientPart[] = [
  { name: "the cache alone", file: "cache", exports: "{ createCache }", beside: [] },
  { name: "the core", file: "client", exports: "{ createClient }", beside: decoder },
  { name: "with IndexedDB and tabs", file: "index", exports: `{ ${whole} }`, beside: decoder },
  { name: "and with the decoder", file: "index", exports: `{ ${whole} }`, beside: [] },
  { name: "the React hooks", file: "react", exports: "*", beside: react },
];

/** What a browser loads of a part whose modules lie in `folder`, minified and compressed with brotli. */
export async function sizeOf(part: ClientPart, folder: string, extension = "js"): Promise<number> {
  const { name, file, exports, beside } = part;
  await mkdir(".cache/size", { recursive: true });
  const entry = `.cache/size/${name.replaceAll(" ", "-")}-${extension}.ts`;
  await Bun.write(entry, `export ${exports} from "${folder}/${file}.${extension}";`);
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
  return brotliCompressSync(code).length;
}
