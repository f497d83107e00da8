/** Late changes of a resource whose conflict rule is a function (CONF-15), and functions that fail. */
import { expect, test } from "bun:test";
import { integer, text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { createId } from "../../src/base/id.ts";
import { definePlugin, defineResource, resourceTable } from "../../src/index.ts";
import { createWorld } from "../support/world.ts";

const seen: object[] = [];
const score = defineResource({
  type: "score",
  table: resourceTable("scores", {
    title: text().notNull(),
    bestTime: integer(),
    labels: text({ mode: "json" }).$type<string[]>(),
    secretNote: text(),
  }),
  input: v.object({
    title: v.string(),
    bestTime: v.nullish(v.pipe(v.number(), v.integer())),
    labels: v.nullish(v.array(v.string())),
  }),
  sync: {
    domain: "metadata",
    exclude: ["secretNote"],
    conflict: {
      merge: (base, current, late) => {
        seen.push(structuredClone({ base, current, late }));
        if (late.title === "throw") throw new Error("A bug in the plugin.");
        if (late.title === "nothing") return undefined as unknown as object;
        if (late.title === "promise") return Promise.resolve({}) as object;
        if (late.title === "invalid") return { bestTime: "fast" as unknown as number };
        if (late.title === "foreign") return { secretNote: "x", id: "x", version: 9 };
        if (late.title === "impure")
          for (const side of [base, current, late]) side.labels?.push("?");
        // Whoever was quicker, whenever it was told.
        const times = [current.bestTime, late.bestTime].filter((time) => time !== null);
        return { bestTime: times.length === 0 ? null : Math.min(...times) };
      },
    },
  },
});
const plugin = definePlugin({
  name: "score",
  resources: [score],
  migrations: {
    "0001_scores": `CREATE TABLE scores (id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL,
      created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, origin_device_id TEXT NOT NULL,
      title TEXT NOT NULL, best_time INTEGER, labels TEXT, secret_note TEXT)`,
  },
});

/** A record at version 2, whose first version said 50. */
async function createScores() {
  const world = await createWorld({ plugins: [plugin] });
  const commit = (body: object) =>
    world.send("POST", `${world.at}/commit`, { resource_type: "score", ...body });
  const insert = async (): Promise<string> => {
    const id = createId();
    const data = { title: "a", best_time: 50, labels: ["x"] };
    await commit({ operation: "insert", id, data });
    await commit({ operation: "update", id, data: { best_time: 40, labels: ["x", "y"] } });
    return id;
  };
  const base = { title: "a", best_time: 50, labels: ["x"] };
  const late = (id: string, data: object, more: object = {}) =>
    commit({ operation: "update", id, data, expected_version: 1, base, ...more });
  return { ...world, base, commit, insert, late };
}

test("CONF-15: a resource's own merge decides over whole records; the rest is merged field by field", async () => {
  await using world = await createScores();
  const id = await world.insert();
  seen.length = 0;
  const slower = await world.late(id, { title: "b", best_time: 45 });
  expect(slower.body.resource).toEqual({
    id,
    version: 3,
    title: "b",
    best_time: 40,
    labels: ["x", "y"],
  });
  expect(seen).toEqual([
    {
      base: { title: "a", bestTime: 50, labels: ["x"] },
      current: { title: "a", bestTime: 40, labels: ["x", "y"] },
      late: { title: "b", bestTime: 45, labels: ["x"] },
    },
  ]);
  const again = await world.late(id, { title: "b", best_time: 45 });
  expect(again.body).toMatchObject({ unchanged: true, resource: { version: 3 } });
  const quicker = await world.late(id, { best_time: 30 }, { operation: "update" });
  expect(quicker.body.resource).toMatchObject({ title: "b", best_time: 30 });
  // Who does not say what it saw, overwrites.
  const blind = await world.late(id, { best_time: 60 }, { base: undefined });
  expect(blind.body.resource).toMatchObject({ best_time: 60 });
});

test("a merge that fails, or answers what is no record, fails its own caller only", async () => {
  await using world = await createScores();
  const ids = await Promise.all(Array.from({ length: 6 }, world.insert));
  const titles = ["fine", "throw", "nothing", "promise", "invalid", "impure"];
  const answers = await Promise.all(ids.map((id, at) => world.late(id, { title: titles[at] })));
  expect(answers.map(({ status }) => status)).toEqual([200, 500, 500, 500, 422, 200]);
  expect(answers[1]?.body.code).toBe("internal");
  expect(JSON.stringify(answers[1]?.body)).not.toContain("A bug in the plugin");
  const read = async (at: number) =>
    (await world.send("GET", `${world.at}/resources/score/${ids[at]}`)).body;
  for (const at of [1, 2, 3, 4]) expect(await read(at)).toMatchObject({ version: 2, title: "a" });
  // What it did to its arguments it did to copies.
  expect(await read(5)).toMatchObject({ version: 3, labels: ["x", "y"], best_time: 40 });
});

test("a merge that fails ends its line in the middle of a group: nothing behind it takes effect", async () => {
  await using world = await createScores();
  const ids = await Promise.all(Array.from({ length: 4 }, world.insert));
  const mutations = ["fine", "throw", "fine", "fine"].map((title, at) => ({
    mutation_id: createId(),
    commit: {
      resource_type: "score",
      operation: "update",
      id: ids[at],
      data: { title },
      expected_version: 1,
      base: world.base,
    },
  }));
  const { body } = await world.send("POST", `${world.at}/mutations`, { mutations });
  expect([body.answers.length, body.stopped.code]).toEqual([1, "internal"]);
  expect(await world.count("SELECT count(*) FROM scores WHERE title = 'fine'")).toBe(1);
});

test("I8, I10: no base, however strange, reaches the function unchecked; no answer touches more than fields", async () => {
  await using world = await createScores();
  const id = await world.insert();
  seen.length = 0;
  for (const base of [{ title: 7 }, { best_time: "x" }, { labels: [{}] }, { title: null }]) {
    const refused = await world.late(id, { best_time: 1 }, { base });
    expect([refused.status, refused.body.code]).toEqual([422, "invalid_record"]);
  }
  expect(seen).toEqual([]);
  const strange = { secret_note: "x", constructor: 1, version: 99, id: "x", [" "]: [[[]]] };
  const odd = await world.late(id, { best_time: 1 }, { base: strange });
  expect(odd.body.resource).toMatchObject({ version: 3, best_time: 1 });
  expect(JSON.stringify(seen)).not.toContain("secretNote");
  const foreign = await world.late(id, { title: "foreign" });
  expect(foreign.body.resource).toMatchObject({ id, version: 4, title: "foreign" });
  expect(await world.count("SELECT count(*) FROM scores WHERE secret_note IS NOT NULL")).toBe(0);
});
