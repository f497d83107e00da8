import { expect, test } from "bun:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import { hash48 } from "../../src/base/hash.ts";
import * as schemas from "../../src/protocol/commit.ts";
import { errorTable } from "../../src/protocol/errors.ts";
import { PROTOCOL_VERSION } from "../../src/protocol/version.ts";

/** When this fails, the wire has changed: raise PROTOCOL_VERSION, note it there, and pin the new hash. */
test("the wire schemas are those of this protocol version", () => {
  const shapes = Object.entries(schemas).map(([name, schema]) => [
    name,
    toJsonSchema(schema, { errorMode: "ignore" }),
  ]);
  const pinned: Record<number, string> = { 1: "4664ee299d74" };
  expect(hash48(JSON.stringify([shapes, errorTable])).toString(16)).toBe(
    pinned[PROTOCOL_VERSION] ?? "",
  );
});
