/**
 * A plugin from outside this repository: its own table, its own SQL, its own rules. Nothing else
 * changes (CODEGEN-10), and what it excludes never leaves the node (I8).
 */
import { expect, test } from "bun:test";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { z } from "zod";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import {
  createRegistry,
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
  SyncError,
} from "../../src/index.ts";
import { createWorld } from "../support/world.ts";

const notes = resourceTable("notes", {
  title: text().notNull(),
  labels: text({ mode: "json" }).$type<string[]>(),
  secretKey: text(),
});
const note = defineResource({
  type: "note",
  table: notes,
  input: v.object({ title: v.string(), labels: v.nullish(v.array(v.string())) }),
  sync: { domain: "metadata", exclude: ["secretKey"], conflict: { merge: { labels: "set" } } },
});
const draft = defineResource({
  type: "draft",
  table: resourceTable("drafts", { title: text().notNull() }),
  input: v.object({ title: v.string() }),
  sync: { domain: "state" },
});
const columns = `id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, origin_device_id TEXT NOT NULL, title TEXT NOT NULL`;
const notePlugin = definePlugin({
  name: "note",
  resources: [note, draft],
  migrations: {
    "0001_notes": `CREATE TABLE notes (${columns}, labels TEXT, secret_key TEXT);
--> statement-breakpoint
CREATE TABLE drafts (${columns});`,
  },
});

test("a plugin from outside brings its table, merges its sets, and keeps its excluded field", async () => {
  await using world = await createWorld({ plugins: [...bundledPlugins, notePlugin] });
  const id = createId();
  const change = (operation: string, data: object, more: object = {}) =>
    world.send("POST", `${world.at}/resources/note/commit`, { operation, id, data, ...more });
  await change("insert", { title: "a", labels: ["x"] });
  await change("update", { labels: ["x", "y"] });
  const merged = await change(
    "update",
    { labels: ["x", "z"] },
    { expected_version: 1, base: { labels: ["x"] } },
  );
  expect(merged.body.resource).toEqual({ id, version: 3, title: "a", labels: ["x", "y", "z"] });
  await world.library.manager.commitSilent("note", id, { secret_key: "hidden" });
  await change("update", { title: "b" });
  expect(await world.count("SELECT secret_key = 'hidden' FROM notes")).toBe(1);
  for (const path of ["log", "snapshot?types=note", `resources/note/${id}`]) {
    const response = await world.app.request(`${world.at}/${path}`, {
      headers: { authorization: `Bearer ${world.token}` },
    });
    expect(await response.text()).not.toContain("secret_key");
  }
  await expect(world.library.manager.commitSilent("note", id, { title: "loud" })).rejects.toThrow(
    "use commit",
  );
});

test("I8: a resource of domain state has no way out", async () => {
  await using world = await createWorld({ plugins: [...bundledPlugins, notePlugin] });
  const body = { operation: "insert", id: createId(), data: { title: "x" } };
  const written = await world.send("POST", `${world.at}/resources/draft/commit`, body);
  expect([written.status, written.body.code]).toEqual([422, "unknown_resource_type"]);
  expect((await world.send("GET", `${world.at}/resources/draft`)).status).toBe(422);
  expect((await world.send("GET", `${world.at}/snapshot?types=draft`)).status).toBe(422);
  expect(
    Object.keys((await world.send("GET", "/openapi.json")).body.components.schemas),
  ).not.toContain("draft");
});

test("an input that is left out is an empty one, for queries and actions alike; its schema decides", async () => {
  const nothing = z.object({});
  const strict = v.object({ title: v.string() });
  const plugin = definePlugin({
    name: "memo",
    resources: [],
    queries: {
      all: defineQuery({ input: nothing, returns: null, resolve: async () => [1] }),
      titled: defineQuery({ input: strict, returns: null, resolve: async () => [1] }),
    },
    actions: {
      tidy: defineAction({ input: nothing, run: async (_tx, input) => input }),
      rename: defineAction({ input: strict, run: async (_tx, input) => input }),
      read: defineAction({
        input: strict,
        run: async (_tx, { title }) => {
          throw new SyncError("not_found", { what: `memo ${title}` });
        },
      }),
    },
  });
  await using world = await createWorld({ plugins: [plugin] });
  for (const body of [{}, { input: null }, { input: {} }]) {
    const post = (path: string) => world.send("POST", `${world.at}/${path}`, body);
    expect(await post("query/memo.all")).toMatchObject({ status: 200, body: { data: [1] } });
    expect(await post("actions/memo.tidy")).toMatchObject({ status: 200, body: { output: {} } });
    for (const path of ["query/memo.titled", "actions/memo.rename"]) {
      const refused = {
        status: 422,
        body: { code: "invalid_record", issues: [{ path: "title" }] },
      };
      expect(await post(path)).toMatchObject(refused);
    }
  }
  const read = await world.send("POST", `${world.at}/actions/memo.read`, { input: { title: "a" } });
  expect(read.body).toMatchObject({ code: "not_found", detail: "There is no memo a." });
  for (const input of [[], "x", 1, true]) {
    const answer = await world.send("POST", `${world.at}/actions/memo.rename`, { input });
    expect([answer.status, answer.body.code]).toEqual([422, "invalid_record"]);
  }
});

test("a registry refuses at the start what would fail later, and names it", () => {
  const on = (type: string, after: string[], breakCycle?: "other") =>
    defineResource({
      type,
      table: resourceTable(`${type}_rows`, { other: text() }),
      input: v.object({}),
      sync: { domain: "metadata", after, ...(breakCycle === undefined ? {} : { breakCycle }) },
    });
  const registryOf = (...resources: ReturnType<typeof on>[]) =>
    createRegistry([definePlugin({ name: "p", resources })]);
  expect(() => registryOf(on("a", ["b"]), on("b", ["a"]))).toThrow("a → b → a");
  expect(registryOf(on("a", ["b"]), on("b", ["a"], "other")).resources.length).toBe(2);
  expect(() => registryOf(on("a", ["missing"]))).toThrow('"missing"');
  expect(() => registryOf(on("a", []), on("a", []))).toThrow("Two resources");
  expect(() => registryOf(on("Big", []))).toThrow("snake_case");
  const seen = { ...on("a", []), view: v.object({ count: v.number() }) };
  expect(() => registryOf(seen)).toThrow("view says what toResource or build make");
});

test("a rule of sync that names a field which the table has not stops the start", () => {
  const misspelled = (sync: object) => () =>
    createRegistry([
      definePlugin({
        name: "note",
        resources: [{ ...note, sync: { domain: "metadata", ...sync } }],
      }),
    ]);
  for (const sync of [
    { exclude: ["titel"] },
    { include: ["titel"] },
    { conflict: { merge: { title: "last-write-wins", titel: "set" } } },
  ]) {
    expect(misspelled(sync)).toThrow(
      'Resource "note": sync names the field "titel", its table has none.',
    );
  }
});
