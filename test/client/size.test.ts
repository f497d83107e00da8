/** What a browser loads, minified and compressed with brotli; README "Client" shows the same figures. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { budgets } from "../../package.json";
import { clientParts, sizeOf } from "../support/client-size.ts";

test.each(clientParts)(
  "$name: within its budget, nothing of Node, no server code",
  async (part) => {
    const size = await sizeOf(part, resolve("src/client"), "ts");
    expect(size).toBeLessThanOrEqual(budgets[part.name]);
  },
);
