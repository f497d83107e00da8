/**
 * `atomic: false` over several chunks, when the database, the lease or the queue fails between two
 * of them: what stands is told, the rest is listed as it is to be sent again (TM-29, I5).
 */
import { expect, test } from "bun:test";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import { SyncError } from "../../src/protocol/errors.ts";
import type { ErrorCode, ErrorFacts } from "../../src/protocol/errors.ts";
import { definePlugin, defineResource } from "../../src/resource/define.ts";
import { resourceTable } from "../../src/resource/table.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import { createWorld, dense } from "../support/world.ts";

const wait = { retryAfterSeconds: 1 };
const failures = {
  database_unavailable: wait,
  overloaded: wait,
  not_leader: { leaderUrl: null, epoch: 1 },
  stale_epoch: { epoch: 1, currentEpoch: 2 },
  internal: { requestId: "" },
} satisfies Partial<{ [Code in ErrorCode]: ErrorFacts[Code] }>;
type Failure = keyof typeof failures;
const bug = new TypeError("A bug that only the log may tell.");

/** A world whose library fails writes on order. */
async function createFaultyWorld() {
  /** Writes that still pass; null while all do. */
  const fault: { after: number | null; code: Failure } = { after: null, code: "overloaded" };
  const logged: unknown[] = [];
  const world = await createWorld({
    telemetry: { ...silentTelemetry, log: (_level, _message, facts) => logged.push(facts) },
    limits: { resilientChunk: 4 },
    decorate: (name, database) => ({
      ...database,
      write: async (statements) => {
        if (name !== "catalog" && fault.after !== null) {
          if (fault.after <= 0 && fault.code === "internal") throw bug;
          if (fault.after <= 0) throw new SyncError(fault.code, failures[fault.code]);
          fault.after -= 1;
        }
        return database.write(statements);
      },
    }),
  });
  const send = (changes: readonly object[], more: object = {}) =>
    world.send("POST", `${world.at}/batch`, { changes, atomic: false, ...more });
  return { ...world, fault, logged, sendBatch: send };
}

const insert = (name: string, id = createId()) => ({
  resource_type: "album",
  operation: "insert",
  id,
  data: { name },
});
const inserts = (count: number) => Array.from({ length: count }, (_, at) => insert(`a${at}`));
const placesOf = (failed: { index: number; problem: { code: string; retry: string } }[]) =>
  failed.map(({ index, problem }) => `${index} ${problem.code} ${problem.retry}`);

for (const [code, retry] of [
  ["database_unavailable", "later"],
  ["overloaded", "later"],
  ["not_leader", "leader"],
  ["stale_epoch", "later"],
  ["internal", "later"],
] as const) {
  test(`TM-29: ${code} at a later chunk: what stands is answered, the rest listed to be sent again`, async () => {
    await using world = await createFaultyWorld();
    const changes = [...inserts(3), insert(""), ...inserts(6)];
    Object.assign(world.fault, { after: 1, code });
    const { status, body } = await world.sendBatch(changes);
    expect([status, body.first_sequence, body.last_sequence]).toEqual([200, 1, 3]);
    expect(body.resources.map(({ id }: { id: string }) => id)).toEqual(
      changes.slice(0, 3).map(({ id }) => id),
    );
    const rest = [4, 5, 6, 7, 8, 9].map((index) => `${index} ${code} ${retry}`);
    expect(placesOf(body.failed)).toEqual(["3 invalid_record never", ...rest]);
    expect(body.failed.at(-1).problem).toMatchObject({ index: 9 });
    expect(JSON.stringify(body)).not.toContain(bug.message);
    const { request_id } = body.failed.at(-1).problem;
    const asLogged = world.logged.filter((facts) =>
      Bun.deepEquals(facts, { request_id, error: bug }),
    );
    expect(asLogged.length).toBe(code === "internal" ? 1 : 0);

    world.fault.after = null;
    const again = body.failed.flatMap(({ index, problem }: (typeof body.failed)[number]) =>
      problem.retry === "never" ? [] : changes[index],
    );
    const second = await world.sendBatch(again);
    expect([second.body.first_sequence, second.body.last_sequence]).toEqual([4, 9]);
    expect(await world.sequences()).toEqual(dense(9));
  });
}

test("TM-29: when nothing stands the whole request fails", async () => {
  await using world = await createFaultyWorld();
  Object.assign(world.fault, { after: 0, code: "internal" });
  expect(await world.sendBatch(inserts(9))).toMatchObject({ status: 500 });
  Object.assign(world.fault, { after: 0, code: "database_unavailable" });
  expect(await world.sendBatch(inserts(9))).toMatchObject({
    status: 503,
    body: { code: "database_unavailable", retry: "later" },
  });
  expect(await world.sequences()).toEqual([]);
});

test("I5: sent again under its mutation id, what stands is replayed and only the rest is written", async () => {
  await using world = await createFaultyWorld();
  const changes = inserts(10);
  const mutation_id = createId();
  Object.assign(world.fault, { after: 2, code: "overloaded" });
  const first = await world.sendBatch(changes, { mutation_id });
  expect([first.body.last_sequence, first.body.failed.length]).toEqual([8, 2]);
  world.fault.after = null;
  const second = await world.sendBatch(changes, { mutation_id });
  expect(second.body).toMatchObject({ first_sequence: 1, last_sequence: 10, replayed: false });
  expect([second.body.failed, second.body.resources.length]).toEqual([[], 10]);
  expect(await world.sequences()).toEqual(dense(10));
  const third = await world.sendBatch(changes, { mutation_id });
  expect(third.body).toEqual({ ...second.body, replayed: true });
  const other = await world.sendBatch(changes.slice(0, 9), { mutation_id });
  expect(other).toMatchObject({ status: 409, body: { code: "mutation_reused" } });
  expect(await world.sequences()).toEqual(dense(10));
});

test("I5: a replay answers as before, refusals too, though their reasons are gone", async () => {
  await using world = await createFaultyWorld();
  const taken = insert("taken");
  await world.sendBatch([taken]);
  const missing = { ...insert("missing"), operation: "update" };
  // One refused by its schema, one by what stands, and a chunk of which nothing is left.
  const changes = [insert(""), taken, insert("a"), insert("b"), missing];
  const mutation_id = createId();
  const first = await world.sendBatch(changes, { mutation_id });
  expect(placesOf(first.body.failed)).toEqual([
    "0 invalid_record never",
    "1 already_exists never",
    "4 not_found never",
  ]);
  await world.sendBatch([
    { ...taken, operation: "delete", data: undefined },
    insert("c", missing.id),
  ]);
  const { head } = world.library.state;
  const again = await world.sendBatch(changes, { mutation_id });
  expect(again.body).toEqual({ ...first.body, replayed: true });
  expect(world.library.state.head).toBe(head);
});

test("I5: two copies of one batch at once take effect once and get one answer", async () => {
  await using world = await createFaultyWorld();
  const changes = [insert(""), ...inserts(9)];
  const mutation_id = createId();
  const twins = await Promise.all([
    world.sendBatch(changes, { mutation_id }),
    world.sendBatch(changes, { mutation_id }),
  ]);
  const [one, two] = twins.map(({ body }) => ({ ...body, replayed: true }));
  expect(one).toEqual(two);
  expect(await world.sequences()).toEqual(dense(9));
});

/** One that says something of a file, of which there may be one. */
const saying = (file: string) => ({
  resource_type: "user_metadata",
  operation: "insert",
  id: createId(),
  data: { file_id: file, favorite: true },
});

for (const mutation_id of [undefined, createId()]) {
  test(`TM-29: what the database refuses without a name is found, ${mutation_id === undefined ? "without" : "with"} a mutation id`, async () => {
    await using world = await createFaultyWorld();
    const [one, other] = [createId(), createId()];
    await world.sendBatch([saying(one), saying(other)]);
    const changes = [...inserts(2), insert(""), saying(one), ...inserts(3), saying(other)];
    const first = await world.sendBatch(changes, { mutation_id });
    expect(first.status).toBe(200);
    expect(placesOf(first.body.failed)).toEqual([
      "2 invalid_record never",
      "3 invalid_record never",
      "7 invalid_record never",
    ]);
    expect(first.body.resources.length).toBe(5);
    expect(await world.sequences()).toEqual(dense(7));
    if (mutation_id === undefined) return;
    // Sent again when nothing refuses them any more, it answers as it did.
    await world.library.database.write([{ sql: "DELETE FROM user_metadata", args: [] }]);
    const second = await world.sendBatch(changes, { mutation_id });
    expect(second.body).toEqual({ ...first.body, replayed: true });
    expect(await world.sequences()).toEqual(dense(7));
  });
}

test("I5: a batch that was halved and cut off goes on with its second half under its mutation id", async () => {
  await using world = await createFaultyWorld();
  const file = createId();
  await world.sendBatch([saying(file)]);
  const changes = [createId(), createId(), createId(), file].map(saying);
  const mutation_id = createId();
  // The refused chunk, the note that it is halved, and its first half.
  Object.assign(world.fault, { after: 3, code: "overloaded" });
  const first = await world.sendBatch(changes, { mutation_id });
  expect(placesOf(first.body.failed)).toEqual(["2 overloaded later", "3 overloaded later"]);
  world.fault.after = null;
  const second = await world.sendBatch(changes, { mutation_id });
  expect(placesOf(second.body.failed)).toEqual(["3 invalid_record never"]);
  expect(second.body.resources.length).toBe(3);
  expect(await world.sequences()).toEqual(dense(4));
});

const columns = `id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
  updated_at integer NOT NULL, origin_device_id text NOT NULL`;
const bookPlugin = definePlugin({
  name: "book",
  resources: [
    defineResource({
      type: "book",
      table: resourceTable("books", { shelfId: text("shelf_id").notNull() }),
      input: v.object({ shelfId: v.string() }),
      sync: { domain: "metadata", after: ["shelf"] },
    }),
    defineResource({
      type: "shelf",
      table: resourceTable("shelves", {}),
      input: v.object({}),
      sync: { domain: "metadata" },
    }),
  ],
  migrations: {
    "0000": `CREATE TABLE shelves (${columns})
      --> statement-breakpoint
      CREATE TABLE books (${columns}, shelf_id text NOT NULL REFERENCES shelves(id))`,
  },
});

/** Books, then the shelves they stand on, whatever the database says of the rest. */
test("TM-29: a record whose parent comes later stands, also where the batch is halved or cut", async () => {
  const plugins = [...bundledPlugins, bookPlugin];
  await using world = await createWorld({ plugins, limits: { resilientChunk: 4 } });
  const send = (changes: readonly object[]) =>
    world.send("POST", `${world.at}/batch`, { changes, atomic: false });
  const file = createId();
  await send([saying(file)]);
  const shelves = [createId(), createId(), createId()];
  const books = shelves.map((shelf) => ({ id: createId(), shelf }));
  const write = (type: string, id: string, data: object = {}) => ({
    resource_type: type,
    operation: "insert",
    id,
    data,
  });
  const changes = [
    ...books.map(({ id, shelf }) => write("book", id, { shelf_id: shelf })),
    saying(file),
    ...shelves.map((id) => write("shelf", id)),
  ];
  const { body } = await send(changes);
  expect(placesOf(body.failed)).toEqual(["3 invalid_record never"]);
  // In the order they were asked for, whatever the order they were written in.
  expect(body.resources.map(({ id }: { id: string }) => id)).toEqual(
    changes.filter((_, at) => at !== 3).map(({ id }) => id),
  );
  // The other way round when they go: no shelf before its books.
  const remove = (type: string, id: string) => ({ resource_type: type, operation: "delete", id });
  const gone = await send([
    ...shelves.map((id) => remove("shelf", id)),
    ...books.map(({ id }) => remove("book", id)),
    saying(file),
  ]);
  expect(placesOf(gone.body.failed)).toEqual(["6 invalid_record never"]);
  expect(await world.sequences()).toEqual(dense(13));
});
