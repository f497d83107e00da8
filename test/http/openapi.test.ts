import { expect, test } from "bun:test";
import * as v from "valibot";
import { z } from "zod";
import { toPluginSchema } from "../../src/http/openapi.ts";

const ofValibot = v.object({
  name: v.pipe(v.string(), v.trim(), v.toLowerCase(), v.maxLength(5)),
  at: v.date(),
  kind: v.custom<string>((kind) => kind === "a"),
});
const ofZod = z.object({ name: z.string().trim().max(5), at: z.date(), kind: z.custom<string>() });

test.each([
  ["valibot", ofValibot],
  ["zod", ofZod],
])("a plugin in %s may ask for what JSON Schema cannot say", (_, schema) => {
  for (const side of ["input", "output"] as const) {
    const { properties, required } = toPluginSchema(schema, side);
    expect(properties).toMatchObject({ name: { type: "string", maxLength: 5 }, at: {}, kind: {} });
    expect(required).toContain("name");
  }
});
