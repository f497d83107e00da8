import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, packr, problem } from "./world.ts";
import type { Topic } from "./world.ts";

const insert = (type: string, data: object, id = createId()) => ({
  resource_type: type,
  operation: "insert",
  id,
  data,
});

/** 1 to 1,000 changes in one transaction. */
export const batch: Topic = (library) => {
  test("I2: a batch of several types is one transaction of as many sequences", async () => {
    const { send, head } = await library();
    const before = await head();
    const album = createId();
    const changes = [
      insert("album", { name: "a" }, album),
      insert("tag", { name: "t" }),
      { resource_type: "album", operation: "update", id: album, data: { name: "b" } },
    ];
    const { status, body } = await send("POST", "/batch", {
      body: { changes, operation: "WatcherBatch" },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      first_sequence: before + 1,
      last_sequence: before + 3,
      replayed: false,
    });
    expect(body.epoch).toBeGreaterThanOrEqual(1);
    expect(body.resources.at(-1)).toMatchObject({ id: album, version: 2, name: "b" });
    const { entries } = (await send("GET", `/log?after=${before}`)).body;
    expect(
      new Set(entries.map((entry: { transaction_id: string }) => entry.transaction_id)),
    ).toEqual(new Set([body.transaction_id]));
  });

  test("I10: one bad change fails all of them, and the problem has its index", async () => {
    const { send, head } = await library();
    const before = await head();
    const good = () => insert("tag", { name: "t" });
    const bad: [object, number, string][] = [
      [insert("tag", {}), 422, "invalid_record"],
      [insert("nothing", {}), 422, "unknown_resource_type"],
      [{ ...good(), operation: "update", id: createId() }, 404, "not_found"],
      [{ ...good(), id: "no uuid" }, 400, "invalid_body"],
      [{ ...good(), operation: "explode" }, 400, "invalid_body"],
    ];
    for (const [change, status, code] of bad) {
      const body = { changes: [good(), good(), change, good()] };
      const refused = await send("POST", "/batch", { body });
      expect(refused).toMatchObject(problem(status, code, { index: 2 }));
    }
    expect(await head()).toBe(before);
  });

  test("no changes, too many, or something else than changes get 400", async () => {
    const { send } = await library();
    const many = Array.from({ length: 1_001 }, () => insert("tag", { name: "t" }));
    const bodies = [
      { changes: [] },
      { changes: many },
      { changes: "all" },
      { changes: [null] },
      { changes: [1] },
      {},
      { changes: [insert("tag", { name: "t" })], operation: "Explode" },
    ];
    for (const body of bodies) {
      const { status } = await send("POST", "/batch", { body });
      expect(status).toBe(400);
    }
  });

  test("1,000 changes are one transaction", async () => {
    const { send, head } = await library();
    const before = await head();
    const changes = Array.from({ length: 1_000 }, (_, n) => insert("tag", { name: `t${n}` }));
    const { body } = await send("POST", "/batch", { body: { changes } });
    expect([body.first_sequence, body.last_sequence]).toEqual([before + 1, before + 1_000]);
    expect(body.resources).toHaveLength(1_000);
  });

  test("I5: a batch with a mutation id is replayed, not repeated", async () => {
    const { send, head } = await library();
    const body = {
      changes: [insert("tag", { name: "t" }), insert("album", { name: "a" })],
      mutation_id: createId(),
    };
    const first = await send("POST", "/batch", { body });
    const before = await head();
    const again = await send("POST", "/batch", { body });
    expect(again.status).toBe(200);
    expect({ ...again.body, replayed: false }).toEqual(first.body);
    expect(again.body.replayed).toBe(true);
    expect(await head()).toBe(before);
    const other = { ...body, changes: body.changes.slice(0, 1) };
    expect(await send("POST", "/batch", { body: other })).toMatchObject(
      problem(409, "mutation_reused"),
    );
  });

  test("TM-29: atomic: false commits what it can and lists what it could not", async () => {
    const { send, head } = await library();
    const before = await head();
    const changes = Array.from({ length: 250 }, (_, n) =>
      n % 100 === 7 ? insert("tag", {}) : insert("tag", { name: `t${n}` }),
    );
    const { status, body } = await send("POST", "/batch", { body: { changes, atomic: false } });
    expect(status).toBe(200);
    expect(body.failed.map((one: { index: number }) => one.index)).toEqual([7, 107, 207]);
    expect(body.failed[0].problem).toMatchObject({
      code: "invalid_record",
      status: 422,
      index: 7,
    });
    expect(body.resources).toHaveLength(247);
    expect([body.first_sequence, body.last_sequence]).toEqual([before + 1, before + 247]);
    expect(await head()).toBe(before + 247);
  });

  test("TM-29: atomic: false lists what cannot even be read, and commits the rest", async () => {
    const { send, head } = await library();
    const before = await head();
    const good = () => insert("tag", { name: "t" });
    const changes = [
      null,
      good(),
      { ...good(), operation: "explode" },
      insert("tag", {}),
      good(),
      5,
      { ...good(), id: "x".repeat(5_000) },
    ];
    const { status, body } = await send("POST", "/batch", { body: { changes, atomic: false } });
    expect(status).toBe(200);
    const seen = body.failed.map((one: { index: number; problem: { code: string } }) => [
      one.index,
      one.problem.code,
    ]);
    expect(seen).toEqual([
      [0, "invalid_body"],
      [2, "invalid_body"],
      [3, "invalid_record"],
      [5, "invalid_body"],
      [6, "invalid_body"],
    ]);
    expect(body.failed[2].problem).toMatchObject({ status: 422, index: 3 });
    expect(JSON.stringify(body.failed[4]).length).toBeLessThan(1_000);
    expect([body.resources.length, await head()]).toEqual([2, before + 2]);
    expect((await send("POST", "/batch", { body: { changes } })).status).toBe(400);
    for (const none of [[], "all", null, Array.from({ length: 1_001 }, good)]) {
      const bad = await send("POST", "/batch", { body: { changes: none, atomic: false } });
      expect(bad).toMatchObject(problem(400, "invalid_body"));
    }
  });

  test("two changes of one record in one batch follow each other, whatever the case of its id", async () => {
    const { send, head } = await library();
    const before = await head();
    const id = createId();
    const twice = [
      insert("tag", { name: "a" }, id),
      insert("tag", { name: "b" }, id.toUpperCase()),
    ];
    const refused = await send("POST", "/batch", { body: { changes: twice } });
    expect(refused).toMatchObject(problem(409, "already_exists", { index: 1 }));
    expect(await head()).toBe(before);
    const upsert = { ...insert("tag", { name: "b" }, id.toUpperCase()), operation: "upsert" };
    const { body } = await send("POST", "/batch", { body: { changes: [twice[0], upsert] } });
    expect(body.resources.map((one: object) => one)).toMatchObject([
      { id, version: 1, name: "a" },
      { id, version: 2, name: "b" },
    ]);
  });

  test("atomic: false with nothing bad has an empty list; with nothing good it still answers", async () => {
    const { send, head } = await library();
    const good = { changes: [insert("tag", { name: "t" })], atomic: false };
    expect((await send("POST", "/batch", { body: good })).body.failed).toEqual([]);
    const before = await head();
    const bad = { changes: [insert("tag", {}), insert("nothing", {})], atomic: false };
    const { status, body } = await send("POST", "/batch", { body: bad });
    expect([status, body.failed.length, body.first_sequence]).toEqual([200, 2, null]);
    expect(body).not.toHaveProperty("unchanged");
    expect(await head()).toBe(before);
  });

  test("the type's own route takes changes without their type, in msgpack too", async () => {
    const { send } = await library();
    const changes = [{ operation: "insert", id: createId(), data: { name: "own" } }];
    const own = await send("POST", "/resources/tag/batch", {
      body: packr.pack({ changes }),
      headers: { "content-type": MSGPACK, accept: MSGPACK },
    });
    expect([own.status, own.body.resources[0].name]).toEqual([200, "own"]);
  });
};
