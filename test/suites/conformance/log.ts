import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, createLibrary, problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** The sync log, pulled in pages. */
export const log: Topic = (library) => {
  test("an entry says all that a follower needs", async () => {
    const { album, send, created } = await library();
    const id = createId();
    await album("entry", id);
    const { status, body } = await send("GET", "/log");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      has_more: false,
      head: 1,
      oldest_sequence: 1,
      epoch: created.body.epoch,
      history_id: created.body.history_id,
    });
    const [entry] = body.entries;
    expect(entry).toMatchObject({
      sequence: 1,
      epoch: created.body.epoch,
      mutation_id: null,
      domain: "metadata",
      model_type: "album",
      record_id: id,
      change_type: "insert",
      version: 1,
      data: { name: "entry" },
    });
    expect(entry.device_id).toBeString();
    expect(entry.transaction_id).toBeString();
    expect(entry.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("I1: pages follow each other without gap or repeat, 100 entries by default, 1,000 at most", async () => {
    const { target } = await library();
    const { send } = await createLibrary(target);
    const insert = () => ({
      resource_type: "tag",
      operation: "insert",
      id: createId(),
      data: { name: "t" },
    });
    for (let n = 0; n < 12; n += 1) {
      await send("POST", "/batch", { body: { changes: Array.from({ length: 10 }, insert) } });
    }
    const seen: number[] = [];
    for (let after = 0; ;) {
      const { body } = await send("GET", `/log?after=${after}&limit=25`);
      const sequences = body.entries.map((entry: { sequence: number }) => entry.sequence);
      seen.push(...sequences);
      after = sequences.at(-1);
      if (!body.has_more) break;
      // GAP-20: a page never ends inside a transaction.
      expect(after % 10).toBe(0);
    }
    expect(seen).toEqual(Array.from({ length: 120 }, (_, n) => n + 1));
    expect((await send("GET", "/log")).body.entries).toHaveLength(100);
    expect((await send("GET", "/log?limit=999999")).status).toBe(200);
    expect((await send("GET", "/log?after=120")).body).toMatchObject({
      entries: [],
      has_more: false,
    });
  });

  test("deleting a record takes its earlier payloads out of the log", async () => {
    const { target } = await library();
    const { album, commit, send } = await createLibrary(target);
    const id = createId();
    await album("secret name", id);
    await commit({ resource_type: "album", operation: "delete", id });
    const { entries } = (await send("GET", "/log")).body;
    expect(entries).toHaveLength(2);
    expect(entries[1]).toMatchObject({ change_type: "delete", version: 2, data: null });
    expect(JSON.stringify(entries)).not.toContain("secret name");
  });

  test("a cursor beyond the head, or of another history, is 410 with what holds here", async () => {
    const { send, head, created } = await library();
    const beyond = await send("GET", `/log?after=${(await head()) + 1}`);
    expect(beyond).toMatchObject(problem(410, "history_changed", { retry: "snapshot" }));
    const { history_id } = created.body;
    expect((await send("GET", `/log?history_id=${history_id}`)).status).toBe(200);
    expect(await send("GET", `/log?history_id=${createId()}`)).toMatchObject(
      problem(410, "history_changed", { history_id }),
    );
  });

  test("the log comes in msgpack to whoever accepts that", async () => {
    const { send } = await library();
    const json = (await send("GET", "/log")).body;
    expect((await send("GET", "/log", { headers: { accept: MSGPACK } })).body).toEqual(json);
  });
};
