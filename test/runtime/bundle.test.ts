import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { budgets } from "../../package.json";
import { bundleWorker } from "../support/runtimes.ts";

test("the Worker fits its budget, and asks for nothing that workerd does not have", async () => {
  const text = await bundleWorker();
  expect(gzipSync(text).length).toBeLessThan(budgets.worker);
  const imports = new Bun.Transpiler().scanImports(text).map(({ path }) => path);
  expect(imports).toEqual(["cloudflare:workers"]);
});
