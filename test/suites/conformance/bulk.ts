import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { createId } from "../../../src/base/id.ts";
import { follow } from "./stream-reader.ts";
import { MSGPACK, inPieces, packr, problem } from "./world.ts";
import type { Ask, Library, Topic } from "./world.ts";

const NDJSON = { "content-type": "application/x-ndjson" };
const records = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ id: createId(), name: `t${n}` }));
const toLines = (list: readonly object[]) => list.map((one) => JSON.stringify(one)).join("\n");

function send(library: Library, query: string, ask: Ask) {
  const headers = { ...NDJSON, ...ask.headers };
  return library.send("POST", `/bulk?resource_type=tag${query}`, { ...ask, headers });
}

/** A stream of records, with one entry. */
export const bulk: Topic = (library) => {
  test("BULK-01: a stream of records becomes rows and one entry", async () => {
    const world = await library();
    const before = await world.head();
    const list = records(2_500);
    const token = createId();
    const hints = encodeURIComponent(JSON.stringify({ source: "camera" }));
    const { status, body } = await send(world, `&token=${token}&hints=${hints}`, {
      body: toLines(list),
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      token,
      affected_count: 2_500,
      sequence: before + 1,
      failed_count: 0,
      failures: [],
    });
    expect(await world.head()).toBe(before + 1);
    const { entries } = (await world.send("GET", `/log?after=${before}`)).body;
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ change_type: "bulk_insert", sequence: before + 1 });
    expect(entries[0].data).toMatchObject({
      affected_count: 2_500,
      hints: { source: "camera" },
      token,
    });
    expect(JSON.stringify(entries[0].data).length).toBeLessThan(1_024);
    const one = await world.send("GET", `/resources/tag/${list[2_400]?.id}`);
    expect(one.body.name).toBe("t2400");
    const state = await world.send("GET", `/bulk/${token}`);
    expect(state.body).toMatchObject({ token, state: "complete", affected_count: 2_500 });
  });

  test("a bulk of several chunks tells its listeners how far it is, and that it is done", async () => {
    const world = await library();
    const head = await world.head();
    await using stream = await follow(world);
    const token = createId();
    await send(world, `&token=${token}`, { body: toLines(records(4_500)) });
    await send(world, "", { body: toLines(records(10)) });
    const seen = await stream.until((frame) => frame.id === head + 2);
    const jobs = seen.filter((frame) => frame.event === "Job").map((frame) => frame.data);
    expect(jobs.map((job) => job.kind.data)).toMatchObject([
      { job_id: token, name: "bulk", status: "running", progress: null, message: "2000 records" },
      ...jobs.slice(2).map(() => ({ status: "running" })),
      { job_id: token, name: "bulk", status: "complete", progress: 1, message: "4500 records" },
    ]);
    expect(jobs.every((job) => job.envelope.sequence === undefined)).toBe(true);
  });

  test("I10: a record that nests deeper than allowed is a bad record, however deep", async () => {
    const world = await library();
    for (const depth of [100, 20_000]) {
      const custom = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
      const body = `{"id":"${createId()}","name":"t","custom":${custom}}`;
      const { status, body: answer } = await send(world, "&on_error=skip", { body });
      expect([status, answer.failed_count]).toEqual([200, 1]);
    }
  });

  test("the same token again gives the same answer, replayed, and writes nothing", async () => {
    const world = await library();
    const token = createId();
    const body = toLines(records(10));
    const first = await send(world, `&token=${token}`, { body });
    const before = await world.head();
    const again = await send(world, `&token=${token}`, { body });
    expect(again.body).toEqual({ ...first.body, replayed: true });
    expect(await world.head()).toBe(before);
    const other = await world.send("POST", `/bulk?resource_type=album&token=${token}`, {
      body,
      headers: NDJSON,
    });
    expect(other).toMatchObject(problem(409, "mutation_reused"));
  });

  test("a token is minted when none is given, and an unknown one is 404", async () => {
    const world = await library();
    const { body } = await send(world, "", { body: toLines(records(1)) });
    expect((await world.send("GET", `/bulk/${body.token}`)).body.state).toBe("complete");
    expect(await world.send("GET", `/bulk/${createId()}`)).toMatchObject(problem(404, "not_found"));
  });

  test("I10: the first bad record ends it with its index; what was written is announced, and it can go on", async () => {
    const world = await library();
    const before = await world.head();
    const token = createId();
    const list = records(20);
    const bad: object[] = list.with(12, { id: list[12]?.id ?? "", name: "" });
    const refused = await send(world, `&token=${token}`, { body: toLines(bad) });
    expect(refused).toMatchObject(problem(422, "invalid_record", { index: 12 }));
    expect(refused.body.issues[0].path).toBe("name");
    const state = await world.send("GET", `/bulk/${token}`);
    expect(state.body).toMatchObject({ state: "interrupted", affected_count: 12 });
    const { entries } = (await world.send("GET", `/log?after=${before}`)).body;
    expect(entries[0].data).toMatchObject({ interrupted: true, affected_count: 12 });
    const mended = await send(world, `&token=${token}`, { body: toLines(list) });
    expect(mended.body).toMatchObject({ affected_count: 20, failed_count: 0 });
    expect((await world.send("GET", `/bulk/${token}`)).body.state).toBe("complete");
  });

  test("on_error=skip counts the bad ones, lists the first hundred, and goes on", async () => {
    const world = await library();
    const lines = records(400).map((one, n) => (n % 3 === 0 ? "{ not json" : JSON.stringify(one)));
    const { status, body } = await send(world, "&on_error=skip", { body: lines.join("\n") });
    expect([status, body.affected_count, body.failed_count]).toEqual([200, 266, 134]);
    expect(body.failures).toHaveLength(100);
    expect(body.failures[1]).toMatchObject({ index: 3, problem: { code: "invalid_record" } });
  });

  test("mode insert refuses what exists, upsert replaces it, delete removes it", async () => {
    const world = await library();
    const list = records(3);
    await send(world, "", { body: toLines(list) });
    const again = await send(world, "", { body: toLines(list) });
    expect(again).toMatchObject(problem(409, "already_exists", { index: 0 }));
    const changed = toLines(list.map((one) => ({ ...one, name: "changed" })));
    expect((await send(world, "&mode=upsert", { body: changed })).body.affected_count).toBe(3);
    const [first] = list;
    const one = await world.send("GET", `/resources/tag/${first?.id}`);
    expect(one.body).toMatchObject({ name: "changed", version: 2 });
    const ids = toLines(list.map(({ id }) => ({ id })));
    expect((await send(world, "&mode=delete", { body: ids })).body.affected_count).toBe(3);
    expect((await world.send("GET", `/resources/tag/${first?.id}`)).status).toBe(404);
  });

  test("msgpack maps, gzip, chunks of any size, empty lines and no last newline are all the same", async () => {
    const world = await library();
    const maps = Buffer.concat(records(300).map((one) => packr.pack(one)));
    const type = { "content-type": "application/vnd.syncline.records+msgpack" };
    const gzip = { "content-encoding": "gzip" };
    const asked: Ask[] = [
      { body: maps, headers: type },
      {
        body: gzipSync(Buffer.concat(records(300).map((one) => packr.pack(one)))),
        headers: { ...type, ...gzip },
      },
      { body: gzipSync(toLines(records(300))), headers: gzip },
      {
        body: `\n${records(300)
          .map((one) => `${JSON.stringify(one)}\r\n\n`)
          .join("")}`,
      },
      { body: toLines(records(300)), headers: { accept: MSGPACK } },
    ];
    for (const ask of asked) {
      expect((await send(world, "", ask)).body.affected_count).toBe(300);
    }
    for (const size of [7, 1_000]) {
      const text = new TextEncoder().encode(
        toLines(records(30).map((one) => ({ ...one, name: "é🏔" }))),
      );
      const response = await fetch(`${world.target.url}${world.at}/bulk?resource_type=tag`, {
        method: "POST",
        headers: { ...NDJSON, authorization: `Bearer ${world.target.ownerToken}` },
        body: inPieces(text, size),
      });
      expect(((await response.json()) as { affected_count: number }).affected_count).toBe(30);
    }
  });

  test("I10: a truncated or false gzip, bytes that are no text, and half a map are refused, not crashed on", async () => {
    const world = await library();
    const whole = gzipSync(toLines(records(5_000)));
    const gzip = { "content-encoding": "gzip" };
    const type = { "content-type": "application/vnd.syncline.records+msgpack" };
    const asked: Ask[] = [
      { body: whole.subarray(0, whole.length >> 1), headers: gzip },
      { body: "not gzip at all", headers: gzip },
      { body: new Uint8Array([0xff, 0xfe, 0x0a]) },
      { body: new Uint8Array([0xc1, 0xc1]), headers: type },
      { body: packr.pack({ id: createId(), name: "cut" }).subarray(0, 20), headers: type },
      { body: packr.pack([1, 2, 3]), headers: type },
      { body: "[1]\n" },
      { body: '"text"' },
      { body: "null" },
    ];
    for (const ask of asked) {
      const token = createId();
      const refused = await send(world, `&token=${token}`, ask);
      expect([400, 422]).toContain(refused.status);
      expect(["invalid_body", "invalid_record"]).toContain(refused.body.code);
      expect((await world.send("GET", `/bulk/${token}`)).body.state).not.toBe("running");
    }
    expect((await send(world, "", { body: toLines(records(1)) })).status).toBe(200);
  });

  test("what is no msgpack ends a bulk with its index, and what stands before it is written", async () => {
    const world = await library();
    const token = createId();
    const maps = records(3).map((one) => packr.pack(one));
    const body = Buffer.concat([...maps, Buffer.from([0xc1])]);
    const headers = { "content-type": "application/vnd.syncline.records+msgpack" };
    const refused = await send(world, `&token=${token}`, { body, headers });
    expect(refused).toMatchObject(problem(422, "invalid_record", { index: 3 }));
    const { body: state } = await world.send("GET", `/bulk/${token}`);
    expect(state).toMatchObject({ state: "interrupted", affected_count: 3 });
  });

  test("an interrupted bulk goes on with the same body or its rest; other content under its token is refused", async () => {
    const world = await library();
    const list = records(20);
    const bad = { id: createId(), name: "" };
    const interrupt = async () => {
      const token = createId();
      const stored = records(10);
      const cut = await send(world, `&token=${token}`, { body: toLines([...stored, bad]) });
      expect(cut).toMatchObject(problem(422, "invalid_record", { index: 10 }));
      return { token, stored, first: stored.slice(0, 1) };
    };
    const { token, stored, first } = await interrupt();
    for (const other of [
      [...first, ...records(15)],
      [...first, ...stored.slice(1, 5)],
    ]) {
      const refused = await send(world, `&token=${token}`, { body: toLines(other) });
      expect(refused).toMatchObject(problem(409, "mutation_reused", { mutation_id: token }));
      const { body: state } = await world.send("GET", `/bulk/${token}`);
      expect(state).toMatchObject({ state: "interrupted", affected_count: 10 });
    }
    const whole = await send(world, `&token=${token}`, { body: toLines([...stored, ...list]) });
    expect(whole.body).toMatchObject({ state: "complete", affected_count: 30 });
    const next = await interrupt();
    const rest = await send(world, `&token=${next.token}`, { body: toLines(records(5)) });
    expect(rest.body).toMatchObject({ state: "complete", affected_count: 15 });
    const last = await interrupt();
    const nothing = await send(world, `&token=${last.token}`, { body: "" });
    expect(nothing.body).toMatchObject({ state: "complete", affected_count: 10 });
  });

  test("what the query string asks for is checked before a record is read", async () => {
    const world = await library();
    const body = toLines(records(1));
    for (const query of [
      "&mode=explode",
      "&token=7",
      "&hints=%7B",
      "&hints=1",
      "&on_error=maybe",
    ]) {
      expect(await send(world, query, { body })).toMatchObject(problem(400, "invalid_body"));
    }
    const untyped = await world.send("POST", "/bulk", { body, headers: NDJSON });
    expect(untyped.status).toBe(400);
    const json = { "content-type": "application/json" };
    expect((await send(world, "", { body, headers: json })).status).toBe(400);
    const brotli = { "content-encoding": "br" };
    expect((await send(world, "", { body, headers: brotli })).status).toBe(400);
  });

  test("a stream of no records is complete at once", async () => {
    const world = await library();
    const { status, body } = await send(world, "", { body: "\n" });
    expect([status, body.affected_count, body.failed_count]).toEqual([200, 0, 0]);
  });

  test("the type's own route needs no type in the query", async () => {
    const world = await library();
    const own = await world.send("POST", "/resources/tag/bulk?mode=upsert", {
      body: toLines(records(5)),
      headers: NDJSON,
    });
    expect([own.status, own.body.affected_count]).toEqual([200, 5]);
  });
};
