/** What two people say of one file at a time: nobody's words are lost (CONF-11). */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { mergeUserMetadata } from "../../plugins/rules/file.ts";
import { createId } from "../../src/base/id.ts";
import { isEqualJson } from "../../src/resource/conflict.ts";
import { createWorld } from "../support/world.ts";

const { letrec, constantFrom, dictionary, oneof, option, record, string } = fc;
const { value } = letrec((tie) => ({
  value: oneof(
    { depthSize: "small" },
    constantFrom<unknown>(1, 2, "x", null, ["x"], ["x", "y"]),
    dictionary(constantFrom("a", "b", "toString", "constructor"), tie("value"), { maxKeys: 3 }),
  ),
}));
const custom = option(dictionary(constantFrom("a", "b", "toString"), value, { maxKeys: 3 }));
const said = record({ notes: option(oneof(constantFrom("", "one", "two"), string())), custom });
type Said = typeof said extends fc.Arbitrary<infer Value> ? Value : never;

const merge = (base: Said, current: Said, late: Said): Said => ({
  custom: null,
  notes: late.notes === base.notes ? current.notes : late.notes,
  ...(mergeUserMetadata(base, current, late) as Partial<Said>),
});

test("CONF-15: merging twice is merging once", () => {
  fc.assert(
    fc.property(said, said, said, (base, current, late) => {
      const once = merge(base, current, late);
      expect(isEqualJson(merge(base, once, late), once)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("what only one side changed is as that side left it", () => {
  fc.assert(
    fc.property(said, said, (base, changed) => {
      expect(isEqualJson(merge(base, base, changed).custom, changed.custom)).toBe(true);
      expect(isEqualJson(merge(base, changed, base), changed)).toBe(true);
    }),
  );
});

test("of two notes written at a time both are there; keys that different people set stand side by side", async () => {
  await using world = await createWorld();
  const id = createId();
  const base = { file_id: id, notes: "old", custom: { camera: { iso: 100 } } };
  const commit = (operation: string, data: object, more: object = {}) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type: "user_metadata",
      operation,
      id,
      data,
      ...more,
    });
  await commit("insert", base);
  await commit("update", { notes: "hers", custom: { camera: { iso: 200 }, place: "Oslo" } });
  const his = { notes: "his", favorite: true, custom: { camera: { iso: 100, lens: "50" } } };
  const late = { expected_version: 1, base };
  const { body } = await commit("update", his, late);
  expect(body.resource).toMatchObject({
    notes: "hers\n\nhis",
    favorite: true,
    custom: { camera: { iso: 200, lens: "50" }, place: "Oslo" },
  });
  expect((await commit("update", his, late)).body.unchanged).toBe(true);
  const long = "x".repeat(99_999);
  const refused = await commit("update", { notes: long }, late);
  expect([refused.status, refused.body.issues[0].path]).toEqual([422, "notes"]);
});
