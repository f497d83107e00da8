import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { problem } from "./world.ts";
import type { Topic } from "./world.ts";

const insert = (name: unknown, id: string = createId()) => ({
  resource_type: "album",
  operation: "insert",
  id,
  data: { name },
});

/** A line of mutations: each by itself, in their order, in one request. */
export const mutations: Topic = (library) => {
  test("each mutation of a line gets the answer of its own route, its own transaction and its own entries", async () => {
    const { send, head } = await library();
    const before = await head();
    const [album, tag, other] = [createId(), createId(), createId()];
    const ids = [createId(), createId(), createId()];
    const newTag = { resource_type: "tag", operation: "insert", id: tag, data: { name: "red" } };
    const sent = await send("POST", "/mutations", {
      body: {
        mutations: [
          { mutation_id: ids[0], commit: insert("a", album) },
          { mutation_id: ids[1], batch: { changes: [insert("b", other), newTag] } },
          {
            mutation_id: ids[2],
            action: "tag.apply",
            input: { tag_id: tag, file_ids: [createId()] },
          },
        ],
      },
    });
    expect(sent.status).toBe(200);
    expect("stopped" in sent.body).toBe(false);
    const [commit, batch, action] = sent.body.answers;
    expect(commit).toMatchObject({
      sequence: before + 1,
      mutation_id: ids[0],
      replayed: false,
      resource: { id: album, version: 1 },
    });
    expect(batch).toMatchObject({ first_sequence: before + 2, last_sequence: before + 3 });
    expect(batch.resources).toHaveLength(2);
    expect(action).toMatchObject({ last_sequence: before + 4, replayed: false });
    expect(action).toHaveProperty("output");
    const { entries } = (await send("GET", `/log?after=${before}`)).body;
    expect(entries.map((entry: { mutation_id: string }) => entry.mutation_id)).toEqual([
      ids[0],
      ids[1],
      ids[1],
      ids[2],
    ]);
    const transactions = entries.map((entry: { transaction_id: string }) => entry.transaction_id);
    expect(new Set(transactions).size).toBe(3);
    for (const [at, id] of ids.entries()) {
      const fate = (await send("GET", `/mutations/${id}`)).body;
      const { sequence, last_sequence } = sent.body.answers[at];
      expect(fate).toMatchObject({ state: "committed", sequence: sequence ?? last_sequence });
    }
  });

  test("I5: a line that is sent again, or in part by its own routes, answers the same", async () => {
    const { send, commit, head } = await library();
    const mutation_id = createId().toUpperCase();
    const one = { mutation_id, commit: insert("once") };
    const body = { mutations: [one, { mutation_id: createId(), commit: insert("too") }, one] };
    const first = await send("POST", "/mutations", { body });
    const at = await head();
    const again = await send("POST", "/mutations", { body });
    expect(await head()).toBe(at);
    const replayed = (answers: object[]) => answers.map((each) => ({ ...each, replayed: true }));
    expect(again.body.answers).toEqual(replayed(first.body.answers));
    expect(first.body.answers[2]).toEqual({ ...first.body.answers[0], replayed: true });
    const alone = await commit({ ...one.commit, mutation_id });
    expect(alone.body).toEqual(again.body.answers[0]);
    const reused = { mutations: [{ mutation_id, commit: insert("other") }] };
    expect((await send("POST", "/mutations", { body: reused })).body.answers).toMatchObject([
      { problem: { code: "mutation_reused", status: 409 } },
    ]);
  });

  test("what is refused for good is answered in its place, and the line goes on", async () => {
    const { target, id: library_id, send, head } = await library();
    const before = await head();
    const token = await target.tokenFor([
      { library: library_id, role: "writer", types: ["album"] },
    ]);
    const id = createId();
    const works = [
      { commit: insert("first", id) },
      { commit: insert("second", id) },
      { commit: insert(7) },
      { commit: { ...insert("x"), resource_type: "spaceship" } },
      { commit: { ...insert("x"), resource_type: "tag" } },
      { commit: "no change" },
      { batch: { changes: [] } },
      { batch: { changes: [insert("ok")], atomic: false } },
      { batch: { changes: [insert("ok"), insert(7)] } },
      { action: "file.explode", input: {} },
      { action: "file.delete", input: { ids: [] } },
      { commit: { ...insert("last", id), operation: "update" } },
    ];
    const body = { mutations: works.map((work) => ({ mutation_id: createId(), ...work })) };
    const { status, body: answered } = await send("POST", "/mutations", { body, token });
    expect(status).toBe(200);
    const codes = answered.answers.map(
      (one: { problem?: { code: string } }) => one.problem?.code ?? "done",
    );
    expect(codes).toEqual([
      "done",
      "already_exists",
      "invalid_record",
      "unknown_resource_type",
      "forbidden",
      "invalid_body",
      "invalid_body",
      "invalid_body",
      "invalid_record",
      "not_found",
      "invalid_record",
      "done",
    ]);
    expect(answered.answers[1].problem.current).toMatchObject({ id, name: "first" });
    expect(answered.answers[8].problem.index).toBe(1);
    expect(answered.answers[11].resource).toMatchObject({ version: 2, name: "last" });
    expect(await head()).toBe(before + 2);
  });

  test("I10: a line that cannot be read is 400 with its place, and does nothing", async () => {
    const { send, head } = await library();
    const before = await head();
    const good = { mutation_id: createId(), commit: insert("good") };
    const lines: [unknown, string][] = [
      [undefined, "mutations"],
      [{}, "mutations"],
      [[], "mutations"],
      [Array.from({ length: 101 }, () => good), "mutations"],
      [[good, null], "mutations.1"],
      [[good, { commit: insert("x") }], "mutations.1.mutation_id"],
      [[good, { ...good, mutation_id: "x" }], "mutations.1.mutation_id"],
      [[good, { mutation_id: createId() }], "mutations.1"],
      [[good, { ...good, batch: { changes: [insert("x")] } }], "mutations.1"],
      [[{ ...good, commit: undefined, action: 7 }], "mutations.0.action"],
    ];
    for (const [line, path] of lines) {
      const refused = await send("POST", "/mutations", { body: { mutations: line } });
      expect(refused).toMatchObject(problem(400, "invalid_body"));
      expect(refused.body.issues[0].path).toBe(path);
    }
    expect(await head()).toBe(before);
  });
};
