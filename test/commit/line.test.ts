/** Lines of mutations: none takes effect without an answer of the one before it, whatever fails. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { SyncError } from "../../src/protocol/errors.ts";
import type { Database } from "../../src/store/database.ts";
import { createWorld, dense } from "../support/world.ts";

type World = Awaited<ReturnType<typeof createWorld>>;

const lineOf = (works: readonly object[]) => ({
  mutations: works.map((work) => ({ mutation_id: createId(), ...work })),
});
const album = (id: string, name: string, operation = "insert") => ({
  commit: { resource_type: "album", operation, id, data: { name } },
});
const send = (world: World, line: object) => world.send("POST", `${world.at}/mutations`, line);

/** A database that fails to write where `fails` says so, once the world stands. */
function unreliable(fails: () => boolean) {
  const trouble = { isOn: false };
  const decorate = (_: string, database: Database): Database => ({
    ...database,
    write: async (statements) => {
      if (!trouble.isOn || !fails()) return database.write(statements);
      throw new SyncError("database_unavailable", { retryAfterSeconds: 1 });
    },
  });
  return { trouble, decorate };
}

test("dependent edits over several groups: when one gets no answer, none behind it takes effect", async () => {
  let groups = 0;
  const { decorate, trouble } = unreliable(() => (groups += 1) === 2);
  await using world = await createWorld({ decorate, limits: { groupChanges: 4 } });
  trouble.isOn = true;
  const id = createId();
  const edits = Array.from({ length: 11 }, (_, at) => album(id, `edit ${at}`, "upsert"));
  const line = lineOf([album(id, "made"), ...edits]);
  const first = await send(world, line);
  expect(first.status).toBe(200);
  expect(first.body.answers).toHaveLength(4);
  expect(first.body.stopped).toMatchObject({ code: "database_unavailable", retry: "later" });
  expect(await world.sequences()).toEqual(dense(4));
  const again = await send(world, line);
  expect(again.body.answers).toHaveLength(12);
  expect("stopped" in again.body).toBe(false);
  const sequences = again.body.answers.map((one: { sequence: number }) => one.sequence);
  expect(sequences).toEqual(dense(12));
  const read = await world.send("GET", `${world.at}/resources/album/${id}`);
  expect(read.body).toMatchObject({ name: "edit 10", version: 12 });
});

test("a line whose first gets no answer fails as any request does, and does nothing", async () => {
  const { decorate, trouble } = unreliable(() => true);
  await using world = await createWorld({ decorate });
  trouble.isOn = true;
  const id = createId();
  const line = lineOf([
    album(id, "made"),
    { action: "tag.apply", input: { tag_id: createId(), file_ids: [createId()] } },
    album(id, "edited", "update"),
  ]);
  const failed = await send(world, line);
  expect(failed.status).toBe(503);
  expect(failed.headers.get("retry-after")).toBe("1");
  expect(failed.body).toMatchObject({ code: "database_unavailable", retry: "later" });
  expect(await world.sequences()).toEqual([]);
  trouble.isOn = false;
  expect((await send(world, line)).body.answers).toHaveLength(3);
  expect(await world.sequences()).toEqual(dense(3));
});

test("I3: a fence in the middle of a line ends it; the rest takes effect under the next epoch or not at all", async () => {
  await using world = await createWorld({ limits: { groupChanges: 2 } });
  const { database, state } = world.library;
  let isFenced = false;
  const id = createId();
  const line = lineOf([
    album(id, "0"),
    album(id, "1", "update"),
    ...Array.from({ length: 6 }, (_, at) => album(id, String(at + 2), "update")),
  ]);
  const watch = setInterval(() => {
    if (isFenced || state.head < 2) return;
    isFenced = true;
    void database.write([{ sql: "UPDATE library SET epoch = epoch + 1", args: [] }]);
  }, 0);
  const { status, body } = await send(world, line);
  clearInterval(watch);
  expect(isFenced).toBe(true);
  expect(status).toBe(200);
  expect(body.stopped).toMatchObject({ code: "stale_epoch", retry: "later" });
  const [rows = []] = await database.read([
    { sql: "SELECT sequence, mutation_id FROM sync_log ORDER BY sequence", args: [] },
  ]);
  const done = line.mutations.slice(0, rows.length).map(({ mutation_id }) => mutation_id);
  expect(rows.map(([, mutation]) => mutation as string)).toEqual(done);
  expect(body.answers).toHaveLength(rows.length);
  expect(rows.length).toBeLessThan(8);
});

test("an overloaded queue ends a line: what was not let in is followed by nothing", async () => {
  await using world = await createWorld({ limits: { queueLength: 3 } });
  const ids = Array.from({ length: 6 }, () => createId());
  const line = lineOf(ids.map((id) => album(id, "a")));
  const { body } = await send(world, line);
  expect(body.answers).toHaveLength(3);
  expect(body.stopped).toMatchObject({ code: "overloaded" });
  expect(await world.sequences()).toEqual(dense(3));
});

test("a member that the database refuses is answered alone; those around it in the line commit", async () => {
  await using world = await createWorld();
  const taken = createId();
  const works = Array.from({ length: 40 }, (_, at) => ({
    commit: {
      resource_type: "user_metadata",
      operation: "insert",
      id: createId(),
      data: { file_id: at % 8 === 0 ? taken : createId(), favorite: true },
    },
  }));
  const { answers, stopped } = (await send(world, lineOf(works))).body;
  expect(stopped).toBeUndefined();
  expect(answers.filter((one: { problem?: object }) => one.problem !== undefined)).toHaveLength(4);
  expect(await world.sequences()).toEqual(dense(36));
});

test("I1, I5: of concurrent commits and lines a fifth fails; sent until answered, each takes effect once, in order", async () => {
  let writes = 0;
  const { decorate, trouble } = unreliable(() => (writes += 1) % 5 === 0);
  await using world = await createWorld({ decorate, limits: { groupChanges: 30 } });
  trouble.isOn = true;
  const runLine = async (): Promise<number[]> => {
    const id = createId();
    const edits = Array.from({ length: 24 }, (_, at) => album(id, `e${at}`, "update"));
    let { mutations } = lineOf([album(id, "made"), ...edits]);
    const sequences: number[] = [];
    while (mutations.length > 0) {
      const { status, body } = await send(world, { mutations });
      const { answers } = status === 200 ? body : { answers: [] };
      sequences.push(...answers.map((one: { sequence: number }) => one.sequence));
      mutations = mutations.slice(answers.length);
    }
    const read = await world.send("GET", `${world.at}/resources/album/${id}`);
    expect(read.body).toMatchObject({ version: 25, name: "e23" });
    return sequences;
  };
  const runCommit = async (at: number): Promise<number[]> => {
    const [id, mutation_id] = [createId(), createId()];
    for (;;) {
      const { status, body } = await world.insertAlbum(at % 5 === 0 ? "" : "a", id, {
        mutation_id,
      });
      if (status === 200) return [body.sequence];
      if (status === 422) return [];
    }
  };
  const [lines, commits] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, runLine)),
    Promise.all(Array.from({ length: 200 }, (_, at) => runCommit(at))),
  ]);
  for (const sequences of lines) {
    expect(sequences).toHaveLength(25);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  }
  const granted = [...lines, ...commits].flat().toSorted((a, b) => a - b);
  expect(granted).toEqual(dense(20 * 25 + 160));
  expect(await world.sequences()).toEqual(granted);
  expect(writes).toBeGreaterThan(5);
});
