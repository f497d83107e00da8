/**
 * Generated bindings: complete, standing alone, and true to what the service sends. The file under
 * test is the committed one, `examples/generated`.
 */
import { expect, test } from "bun:test";
import { mkdir, cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { z } from "zod";
import {
  actions,
  decodeAnswer,
  decodeEvent,
  decodeOutput,
  decodeResource,
  queries,
  registryHash,
  resourceTypeMap,
} from "../../examples/generated/syncline.gen.ts";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import {
  createRegistry,
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
} from "../../src/index.ts";
import { checkFiles, generateFiles } from "../../src/tools/commands/generate.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

const registry = createRegistry(bundledPlugins);

test("CODEGEN-04: every type that travels has an entry, and no other", () => {
  const types = registry.resources.map((resource) => resource.type);
  expect(Object.keys(resourceTypeMap).toSorted()).toEqual(types.toSorted());
  expect(Object.keys(queries)).toEqual([...registry.queries.keys()].toSorted());
  expect(registryHash).toBe(registry.hash);
});

test("CODEGEN-05: the check passes on what was committed, and names the file that was edited", async () => {
  await checkFiles(registry, "examples/generated");
  const dir = await mkdtemp(join(tmpdir(), "syncline-"));
  await cp("examples/generated", dir, { recursive: true });
  const edited = join(dir, "Syncline.gen.swift");
  await writeFile(edited, `${await readFile(edited, "utf8")}\n`);
  await expect(checkFiles(registry, dir)).rejects.toThrow(
    `${edited} is not what the registry says`,
  );
  await rm(dir, { recursive: true });
});

test("CODEGEN-01, 06, 09: real events decode without a case for any type; a bad record leaves the others", async () => {
  await using world = await createWorld();
  const ids = [createId(), createId(), createId()];
  const [album = "", location = "", file = ""] = ids;
  const at = { location_id: location, parent_id: null };
  await world.send("POST", `${world.at}/batch`, {
    changes: [
      { resource_type: "album", operation: "insert", id: album, data: { name: "Iceland" } },
      {
        resource_type: "location",
        operation: "insert",
        id: location,
        data: { device_id: "d", name: "Pictures" },
      },
      { resource_type: "file", operation: "insert", id: file, data: { ...at, name: "a", size: 3 } },
    ],
  });
  const favorite = { input: { id: file, favorite: true } };
  await world.send("POST", `${world.at}/actions/file.favorite`, favorite);
  const gone = { resource_type: "album", operation: "delete", id: album };
  await world.send("POST", `${world.at}/commit`, gone);
  const response = await world.app.request(`${world.at}/events?encoding=json&after=0`, {
    headers: { authorization: `Bearer ${world.token}`, accept: "text/event-stream" },
  });
  const wire = await readUntil(response, 5);
  const events = wire.map(decodeEvent);
  expect(events.flatMap((event) => event.problems)).toEqual([]);
  const changed = events.flatMap((event) => event.changed);
  const names = changed.map((one) => (one.type === "file" ? one.resource.name : one.type));
  expect(names.toSorted()).toEqual(["a", "location", "user_metadata"]);
  expect(events.flatMap((event) => event.deleted)).toEqual([{ type: "album", id: album }]);

  const batch = wire.find((event) => event.kind.data["resource_type"] === "file");
  const [good] = (batch?.kind.data["resources"] ?? []) as { id: string }[];
  const spoiled = {
    ...batch,
    kind: { ...batch?.kind, data: { ...batch?.kind.data, resources: [{ id: "x" }, good] } },
  };
  const { changed: kept, problems } = decodeEvent(spoiled);
  expect([kept.length, problems.map(({ type, id }) => [type, id])]).toEqual([1, [["file", "x"]]]);
  expect(() => decodeResource("nothing" as "file", {})).toThrow("Unknown resource type: nothing");
});

test("CODEGEN-06: records that changed but could not be built are named, one or many, and nothing given is altered", async () => {
  const plugin = definePlugin({
    name: "poem",
    resources: [
      defineResource({
        type: "poem",
        table: resourceTable("poems", { title: text().notNull() }),
        input: z.object({ title: z.string() }),
        sync: { domain: "metadata" },
        build: async () => {
          throw new Error("Not now.");
        },
      }),
    ],
    migrations: {
      "0001": `CREATE TABLE poems (id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
        updated_at integer NOT NULL, origin_device_id text NOT NULL, title text NOT NULL)`,
    },
  });
  await using world = await createWorld({ plugins: [plugin] });
  const ids = [createId(), createId(), createId()];
  const changes = ids.map((id) => ({
    resource_type: "poem",
    operation: "insert",
    id,
    data: { title: "a" },
  }));
  // Nobody listens yet: it is read from the log.
  await world.send("POST", `${world.at}/commit`, changes[0]);
  const response = await world.app.request(`${world.at}/events?encoding=json&after=0`, {
    headers: { authorization: `Bearer ${world.token}`, accept: "text/event-stream" },
  });
  await world.send("POST", `${world.at}/batch`, { changes: changes.slice(1) });
  const wire = await readUntil(response, 3);
  const before = structuredClone(wire);
  const events = wire.map(decodeEvent);
  const refs = ids.map((id) => ({ type: "poem", id }));
  expect(events.map(({ touched }) => touched)).toEqual([refs.slice(0, 1), refs.slice(1)]);
  expect(
    events.flatMap(({ changed, deleted, problems }) => [...changed, ...deleted, ...problems]),
  ).toEqual([]);
  expect(wire).toEqual(before);
});

test("CODEGEN-10: a new resource changes the generated files, and nothing else has to change", async () => {
  const plugin = definePlugin({
    name: "note",
    resources: [
      defineResource({
        type: "note",
        table: resourceTable("notes", {
          title: text().notNull(),
          labels: text({ mode: "json" }),
          secretKey: text(),
        }),
        input: z.object({ title: z.string() }),
        sync: { domain: "metadata", exclude: ["secretKey"] },
      }),
      defineResource({
        type: "draft",
        table: resourceTable("drafts", { title: text() }),
        input: z.object({}),
        sync: { domain: "state" },
      }),
    ],
  });
  const files = await generateFiles(createRegistry([...bundledPlugins, plugin]));
  const typescript = files["syncline.gen.ts"] ?? "";
  expect(typescript).toContain("export const Note = v.looseObject({");
  expect(typescript).toContain("  labels: v.nullable(v.unknown()),");
  expect(typescript).toContain("  note: Note,");
  expect(files["Syncline.gen.swift"]).toContain("public var labels: JSONValue?");
  expect(Object.values(files).join("\n")).not.toMatch(/secret|draft/i);
});

test("what actions and queries really answer fits the generated types, and nothing else does", async () => {
  await using world = await createWorld();
  expect(Object.keys(actions)).toEqual([...world.service.registry.actions.keys()].toSorted());
  const [album, location, file] = [createId(), createId(), createId()];
  const insert = (resource_type: string, id: string, data: object) => ({
    resource_type,
    operation: "insert",
    id,
    data,
  });
  await world.send("POST", `${world.at}/batch`, {
    changes: [
      insert("album", album, { name: "Iceland" }),
      insert("location", location, { device_id: "d", name: "Pictures" }),
      insert("file", file, { location_id: location, name: "a", size: 3 }),
    ],
  });
  const act = async (name: string, input: object) =>
    (await world.send("POST", `${world.at}/actions/${name}`, { input })).body;
  const added = await act("album.add_files", { album_id: album, file_ids: [file] });
  expect(decodeOutput("album.add_files", added).added).toBe(1);
  expect(() => decodeOutput("album.add_files", { output: { added: "1" } })).toThrow("Invalid type");
  const { body } = await world.send("POST", `${world.at}/query/album.items`, {
    input: { album_id: album },
  });
  const { records, related } = decodeAnswer("album.items", body);
  expect(records.map((item) => item.file_id)).toEqual([file]);
  expect(related.file.map(({ name, size }) => [name, size])).toEqual([["a", 3]]);
  const spoiled = { ...body, included: { ...body.included, file: [{ id: file, version: 1 }] } };
  expect(() => decodeAnswer("album.items", spoiled)).toThrow("Invalid key");
  const deleted = await act("file.delete", { ids: [file] });
  expect(decodeOutput("file.delete", deleted)).toEqual({ deleted: 1 });
});

/** The generated TypeScript, running. */
async function load(code = "") {
  const path = join(process.cwd(), `.cache/generated-${createId()}.ts`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, code);
  try {
    return (await import(path)) as {
      decodeAnswer(name: string, answer: unknown): { readonly records: readonly unknown[] };
      decodeOutput(name: string, answer: unknown): unknown;
      decodeResource(type: string, data: unknown): unknown;
    };
  } finally {
    await rm(path);
  }
}

test("names that a language keeps for itself, or the generated file uses, do not break it", async () => {
  const resources = ["answer", "map", "data"].map((type) =>
    defineResource({
      type,
      table: resourceTable(`${type}s`, { public: text(), self: text() }),
      input: z.object({}),
      sync: { domain: "metadata" },
    }),
  );
  const list = defineAction({
    input: z.object({ "2nd-name": z.string().nullable() }),
    output: z.array(z.object({ type: z.object({ repeat: z.string() }) })),
    run: async () => [],
  });
  const plugin = definePlugin({ name: "odd", resources, actions: { "by-name": list } });
  const files = await generateFiles(createRegistry([plugin]));
  const made = await load(files["syncline.gen.ts"]);
  const record = { id: "a", version: 1, public: null, self: "b" };
  expect(made.decodeResource("map", record)).toEqual(record);
  const output = [{ type: { repeat: "x" } }];
  expect(made.decodeOutput("odd.by-name", { output })).toEqual(output);

  // Each of these was an error of the compiler.
  const swift = files["Syncline.gen.swift"] ?? "";
  expect(swift).toContain("public struct DataRecord: SynclineResource");
  expect(swift).toContain("public var `public`: String?\n    public var self_: String?");
  expect(swift).toContain("public typealias OddByNameOutput = [OddByNameOutputItem]\n");
  expect(swift).toContain("    public struct TypeRecord: Codable, Hashable, Sendable {");
  // Left out, as nil is by default, it would be refused.
  expect(swift).toContain("public init(_2ndName: String?) {");
  expect(swift).toContain("        try container.encode(_2ndName, forKey: ._2ndName)\n");
});

test("a joined resource with a view is typed to its depths, in both languages", async () => {
  const shelves = resourceTable("shelves", { title: text().notNull() });
  const plugin = definePlugin({
    name: "shelf",
    resources: [
      defineResource({
        type: "shelf",
        table: shelves,
        input: z.object({ title: z.string() }),
        sync: { domain: "metadata" },
        view: v.object({
          title: v.string(),
          bookOwner: v.object({ firstName: v.nullable(v.string()) }),
          books: v.array(v.object({ pageCount: v.pipe(v.number(), v.integer()) })),
        }),
        build: async (rows) =>
          rows.map(({ title }) => ({
            title,
            bookOwner: { firstName: null },
            books: [{ pageCount: title.length }],
          })),
      }),
    ],
    queries: {
      all: defineQuery({
        input: z.object({}),
        returns: "shelf",
        resolve: async ({ db }) =>
          (await db.select({ id: shelves.id }).from(shelves)).map(({ id }) => id),
      }),
    },
    actions: {
      count: defineAction({ input: z.object({}), output: z.int(), run: async () => 7 }),
      guess: defineAction({ input: z.object({}), run: async () => ({ anything: true }) }),
    },
    migrations: {
      "0001": `CREATE TABLE shelves (id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
        updated_at integer NOT NULL, origin_device_id text NOT NULL, title text NOT NULL)`,
    },
  });
  const files = await generateFiles(createRegistry([plugin]));
  const made = await load(files["syncline.gen.ts"]);
  await using world = await createWorld({ plugins: [plugin] });
  const change = { operation: "insert", id: createId(), data: { title: "four" } };
  await world.send("POST", `${world.at}/resources/shelf/commit`, change);
  const { body } = await world.send("POST", `${world.at}/query/shelf.all`, { input: {} });
  const [record] = made.decodeAnswer("shelf.all", body).records;
  expect(record).toMatchObject({
    book_owner: { firstName: null },
    books: [{ pageCount: 4 }],
    version: 1,
  });
  const spoiled = { ...(record as object), books: [{ pageCount: 1.5 }] };
  expect(() => made.decodeResource("shelf", spoiled)).toThrow("Invalid safe integer");
  const { body: counted } = await world.send("POST", `${world.at}/actions/shelf.count`, {
    input: {},
  });
  expect(made.decodeOutput("shelf.count", counted)).toBe(7);
  expect(made.decodeOutput("shelf.guess", { output: { anything: 1 } })).toEqual({ anything: 1 });

  const swift = files["Syncline.gen.swift"] ?? "";
  expect(swift).toContain("    public var bookOwner: BookOwner\n    public var books: [Books]\n");
  expect(swift).toContain("    public struct BookOwner: Codable, Hashable, Sendable {");
  expect(swift).toContain("        public var firstName: String?\n");
  expect(swift).toContain("public typealias ShelfCountOutput = Int\n");
  expect(swift).toContain("public typealias ShelfGuessOutput = JSONValue\n");
});
