/**
 * The SQL of a migration: a plugin may bring several statements in one text, as people write them, and
 * each takes effect. A driver that is given such a text may run the first and pass over the rest.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { createId } from "../../src/base/id.ts";
import { definePlugin, defineResource, resourceTable } from "../../src/index.ts";
import { coreMigrations } from "../../src/store/migrations.ts";
import { splitStatements } from "../../src/store/statements.ts";
import { createWorld, startService } from "../support/world.ts";

const trigger = `CREATE TRIGGER guard BEFORE DELETE ON lanes WHEN OLD.name = ';' BEGIN
  SELECT CASE WHEN 1 THEN 2 END;
  SELECT RAISE(ABORT, 'a; END; b');
END;`;

test.each<[string, readonly string[]]>([
  ["", []],
  [" ;; -- nothing; here\n /* nor; here */ ;", []],
  ["CREATE TABLE a (b)", ["CREATE TABLE a (b)"]],
  ["CREATE TABLE a (b);\nCREATE TABLE c (d);", ["CREATE TABLE a (b);", "CREATE TABLE c (d);"]],
  ["SELECT 'it''s;'; SELECT 1", ["SELECT 'it''s;';", "SELECT 1"]],
  [
    'SELECT "a;", `b;`, [c;] -- d;\n; SELECT /* e; */ 1',
    ['SELECT "a;", `b;`, [c;] -- d;\n;', "SELECT /* e; */ 1"],
  ],
  [`${trigger}\nSELECT 1;`, [trigger, "SELECT 1;"]],
  [trigger.replace("CREATE", "create\n temp"), [trigger.replace("CREATE", "create\n temp")]],
])("the statements of %p", (script, statements) => {
  expect(splitStatements(script)).toEqual(statements);
});

test("what was one statement of a migration of the core is still one", () => {
  for (const script of Object.values(coreMigrations)) {
    const pieces = script.split("--> statement-breakpoint").filter((piece) => piece.trim() !== "");
    expect(splitStatements(script)).toHaveLength(pieces.length);
  }
});

const lane = (type: string, table: string) =>
  defineResource({
    type,
    table: resourceTable(table, { name: text().notNull() }),
    input: v.strictObject({ name: v.string() }),
    sync: { domain: "metadata" },
  });
const columns = `id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
  updated_at integer NOT NULL, origin_device_id text NOT NULL, name text NOT NULL`;

test("all tables of a migration are there, and its trigger", async () => {
  const plugin = definePlugin({
    name: "board",
    resources: [lane("lane", "lanes"), lane("card", "cards")],
    migrations: {
      "0001_board": `CREATE TABLE lanes (${columns}); CREATE TABLE cards (${columns}); ${trigger}`,
    },
  });
  await using world = await createWorld({ plugins: [plugin] });
  const send = (type: string, operation: string, id: string, data?: object) =>
    world.send("POST", `${world.at}/resources/${type}/commit`, { operation, id, data });
  expect((await send("card", "insert", createId(), { name: "a" })).status).toBe(200);
  const id = createId();
  expect((await send("lane", "insert", id, { name: ";" })).status).toBe(200);
  expect((await send("lane", "delete", id)).status).not.toBe(200);
});

test("what is wrong with a migration is told with its name", async () => {
  const broken = { "0001_lanes": `CREATE TABEL lanes (${columns})` };
  const plugin = definePlugin({
    name: "board",
    resources: [lane("lane", "lanes")],
    migrations: broken,
  });
  await expect(createWorld({ plugins: [plugin] })).rejects.toThrow(
    /^Migration plugin\/board\/0001_lanes failed: .*near "TABEL": syntax error/,
  );
});

test("a column that no migration made is told when the last has run, and mending that one is enough", async () => {
  const board = (sql: string) =>
    definePlugin({
      name: "board",
      resources: [lane("lane", "lanes")],
      migrations: { "0001_lanes": sql },
    });
  const directory = await mkdtemp(join(tmpdir(), "syncline-column-"));
  const open = (sql: string) => createWorld({ directory, plugins: [board(sql)] });
  const incomplete = `CREATE TABLE lanes (${columns.replace(", name text NOT NULL", "")})`;
  await expect(open(incomplete)).rejects.toThrow(
    /^Migration plugin\/board\/0001_lanes failed: .*no such column: record.name/,
  );
  {
    await using world = await open(`CREATE TABLE lanes (${columns})`);
    const insert = { operation: "insert", id: createId(), data: { name: "a" } };
    const { status } = await world.send("POST", `${world.at}/resources/lane/commit`, insert);
    expect(status).toBe(200);
  }
  await rm(directory, { recursive: true });
});

test("what a plugin declares later, and no migration made, ends the opening of a database that has run them all", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-later-"));
  const board = (...resources: ReturnType<typeof lane>[]) =>
    definePlugin({
      name: "board",
      resources,
      migrations: { "0001_lanes": `CREATE TABLE lanes (${columns})` },
    });
  await using world = await createWorld({ directory, plugins: [board(lane("lane", "lanes"))] });
  const plugins = [board(lane("lane", "lanes"), lane("card", "cards"))];
  await expect(startService({ directory: world.directory, plugins })).rejects.toThrow(
    /^A plugin declares what the database has not: .*no such table: cards; bring the SQL that makes it under a new tag/,
  );
  await rm(directory, { recursive: true });
});

test("a plugin that brings no migration is told of the table that it declares", async () => {
  const plugin = definePlugin({ name: "board", resources: [lane("lane", "lanes")] });
  await expect(createWorld({ plugins: [plugin] })).rejects.toThrow(
    /no such table: lanes; after it every table and column that a plugin declares must be there$/,
  );
});

test("a column that the database needs and the table has not is named", async () => {
  const plugin = definePlugin({
    name: "board",
    resources: [lane("lane", "lanes")],
    migrations: { "0001_lanes": `CREATE TABLE lanes (${columns}, rank text NOT NULL)` },
  });
  await using world = await createWorld({ plugins: [plugin] });
  const insert = { operation: "insert", id: createId(), data: { name: "a" } };
  const answer = await world.send("POST", `${world.at}/resources/lane/commit`, insert);
  expect(answer).toMatchObject({
    status: 422,
    body: { issues: [{ path: "rank", message: "The database needs a value here." }] },
  });
});
