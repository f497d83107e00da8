import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, packr, problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** One change, one entry. */
export const commit: Topic = (library) => {
  test("I1: commits answer dense sequences, the record as it is now, and null for a deleted one", async () => {
    const { commit, head } = await library();
    const before = await head();
    const id = createId();
    const change = { resource_type: "album", id };
    const inserted = await commit({
      ...change,
      operation: "insert",
      data: { name: "Iceland", description: "d" },
    });
    expect(inserted.status).toBe(200);
    expect(inserted.headers.get("content-type")).toStartWith("application/json");
    expect(inserted.body).toMatchObject({
      sequence: before + 1,
      mutation_id: null,
      replayed: false,
      resource: { id, version: 1, name: "Iceland", description: "d", cover_id: null },
    });
    expect(inserted.body.epoch).toBeGreaterThanOrEqual(1);
    expect(inserted.body.transaction_id).toBeString();
    const updated = await commit({ ...change, operation: "update", data: { name: "Oslo" } });
    expect(updated.body).toMatchObject({
      sequence: before + 2,
      resource: { version: 2, name: "Oslo", description: "d" },
    });
    const replaced = await commit({ ...change, operation: "upsert", data: { name: "Rome" } });
    expect(replaced.body.resource).toMatchObject({ version: 3, name: "Rome", description: null });
    const deleted = await commit({ ...change, operation: "delete" });
    expect(deleted.body).toMatchObject({ sequence: before + 4, resource: null });
    const revived = await commit({ ...change, operation: "insert", data: { name: "Again" } });
    expect(revived.body.resource.version).toBe(5);
  });

  test("an update or upsert that changes nothing answers unchanged, and takes no sequence", async () => {
    const { commit, album, head } = await library();
    const id = createId();
    await album("same", id);
    const before = await head();
    for (const operation of ["update", "upsert"]) {
      const { status, body } = await commit({
        resource_type: "album",
        operation,
        id,
        data: { name: "same" },
      });
      expect([status, body.unchanged, "sequence" in body]).toEqual([200, true, false]);
      expect(body.resource).toMatchObject({ id, version: 1, name: "same" });
    }
    expect(await head()).toBe(before);
  });

  test("I5: the same content is the same in another order and encoding, and with ids in capitals", async () => {
    const { commit, head } = await library();
    const [id, mutation_id] = [createId(), createId()];
    const data = { name: "Iceland", description: "d" };
    const first = await commit({
      resource_type: "album",
      operation: "insert",
      id,
      data,
      mutation_id,
    });
    const after = await head();
    const turned = { description: "d", name: "Iceland" };
    const again = {
      mutation_id: mutation_id.toUpperCase(),
      data: turned,
      id: id.toUpperCase(),
      operation: "insert",
      resource_type: "album",
    };
    const headers = { "content-type": MSGPACK };
    for (const one of [await commit(again), await commit(packr.pack(again), { headers })])
      expect(one.body).toEqual({ ...first.body, replayed: true });
    expect(await head()).toBe(after);
  });

  test("I10: fields have their names of the wire, and no other id than the change", async () => {
    const { commit, album, send, head } = await library();
    const id = createId();
    await album("same", id);
    const before = await head();
    const change = { resource_type: "album", id };
    for (const operation of ["insert", "update", "upsert"]) {
      const record = {
        ...change,
        ...(operation === "insert" ? { id: createId() } : {}),
        operation,
      };
      const camel = await commit({ ...record, data: { name: "a", coverId: createId() } });
      expect(camel).toMatchObject(
        problem(422, "invalid_record", { issues: [{ path: "coverId" }] }),
      );
      const other = await commit({ ...record, data: { name: "a", id: createId() } });
      expect(other).toMatchObject(problem(422, "invalid_record", { issues: [{ path: "id" }] }));
      const list = await commit({ ...record, data: [] });
      expect(list).toMatchObject(problem(400, "invalid_body", { issues: [{ path: "data" }] }));
    }
    const base = await commit({ ...change, operation: "update", data: {}, base: [] });
    expect(base).toMatchObject(problem(400, "invalid_body", { issues: [{ path: "base" }] }));
    const query = await send("POST", "/query/file.by_directory", {
      body: { input: { locationId: id } },
    });
    expect(query).toMatchObject(
      problem(422, "invalid_record", { issues: [{ path: "locationId" }] }),
    );
    expect(await head()).toBe(before);
    const { body } = await send("GET", `/resources/album/${id}`);
    const whole = await commit({
      ...change,
      operation: "upsert",
      data: { ...body, name: "sent back" },
    });
    expect(whole.body.resource).toMatchObject({ id, version: 2, name: "sent back" });
  });

  test("I5: the same mutation id takes effect once and gets the same answer; other content gets 409", async () => {
    const { commit, send, head } = await library();
    const mutation_id = createId();
    const change = {
      resource_type: "album",
      operation: "insert",
      id: createId(),
      data: { name: "once" },
      mutation_id,
    };
    expect((await send("GET", `/mutations/${mutation_id}`)).body).toEqual({ state: "unknown" });
    const answers = await Promise.all([commit(change), commit(change), commit(change)]);
    const first = answers.find(({ body }) => body.replayed === false);
    expect(answers.filter(({ body }) => body.replayed === true)).toHaveLength(2);
    for (const { status, body } of [...answers, await commit(change)]) {
      expect(status).toBe(200);
      expect({ ...body, replayed: false }).toEqual(first?.body);
    }
    expect(first?.body.mutation_id).toBe(mutation_id);
    const at = await head();
    const other = await commit({ ...change, data: { name: "other" } });
    expect(other).toMatchObject(problem(409, "mutation_reused", { mutation_id }));
    expect(await head()).toBe(at);
    expect((await send("GET", `/mutations/${mutation_id}`)).body).toMatchObject({
      state: "committed",
      sequence: first?.body.sequence,
    });
  });

  test("I5: a refused mutation may be mended and sent again under the same id", async () => {
    const { commit } = await library();
    const change = { resource_type: "album", operation: "insert", id: createId() };
    const mutation_id = createId();
    expect((await commit({ ...change, data: {}, mutation_id })).status).toBe(422);
    expect((await commit({ ...change, data: { name: "a" }, mutation_id })).status).toBe(200);
  });

  test("a second insert gets already_exists with the record; a missing record gets 404", async () => {
    const { commit, album } = await library();
    const id = createId();
    await album("first", id);
    expect(await album("second", id)).toMatchObject(
      problem(409, "already_exists", { current: { id, version: 1, name: "first" } }),
    );
    for (const operation of ["update", "delete"]) {
      const change = { resource_type: "album", operation, id: createId(), data: { name: "a" } };
      expect(await commit(change)).toMatchObject(problem(404, "not_found"));
    }
  });

  test("a record that its schema refuses gets 422 and says where", async () => {
    const { insert, commit, album } = await library();
    const refused = await insert("album", { description: 7 });
    expect(refused).toMatchObject(problem(422, "invalid_record", { retry: "never" }));
    const paths = refused.body.issues.map((issue: { path: string }) => issue.path);
    expect(paths).toContain("name");
    expect(paths).toContain("description");
    for (const data of [
      { name: "" },
      { name: null },
      { name: "a\u0000b" },
      { name: ["a"] },
      { name: "a", cover_id: "no uuid" },
    ]) {
      expect(await insert("album", data)).toMatchObject(problem(422, "invalid_record"));
    }
    const file = { location_id: createId(), parent_id: "x", name: "n", size: -1 };
    const bad = await insert("file", file);
    expect(bad.body.issues.map((issue: { path: string }) => issue.path).toSorted()).toEqual([
      "parent_id",
      "size",
    ]);
    const id = createId();
    await album("good", id);
    const update = { resource_type: "album", operation: "update", id, data: { name: 1 } };
    expect(await commit(update)).toMatchObject(problem(422, "invalid_record"));
  });

  test("a misspelled field is refused by its name, and not lost, in an update too", async () => {
    const { insert, commit, album } = await library();
    const id = createId();
    await album("good", id);
    for (const refused of [
      await insert("album", { name: "a", coverr_id: createId() }),
      await commit({ resource_type: "album", operation: "update", id, data: { naem: "better" } }),
    ]) {
      expect(refused).toMatchObject(problem(422, "invalid_record"));
      expect(refused.body.issues).toHaveLength(1);
      expect(["coverr_id", "naem"]).toContain(refused.body.issues[0].path);
    }
  });

  test("expected_version: an older one merges on albums, one from the future is a conflict", async () => {
    const { commit, album } = await library();
    const id = createId();
    await album("one", id);
    const change = { resource_type: "album", operation: "update", id };
    await commit({ ...change, data: { description: "theirs" } });
    const merged = await commit({
      ...change,
      data: { name: "mine", description: null },
      base: { name: "one", description: null },
      expected_version: 1,
    });
    expect(merged.body.resource).toMatchObject({
      version: 3,
      name: "mine",
      description: "theirs",
    });
    const future = await commit({ ...change, data: { name: "x" }, expected_version: 9 });
    expect(future).toMatchObject(
      problem(409, "version_conflict", { current: { id, version: 3 }, expected_version: 9 }),
    );
    for (const expected_version of [0, -1, 1.5, "1"]) {
      expect((await commit({ ...change, data: {}, expected_version })).status).toBe(400);
    }
  });

  test("an update older than the tombstone does not revive a record", async () => {
    const { commit, album } = await library();
    const id = createId();
    await album("gone", id);
    await commit({ resource_type: "album", operation: "delete", id });
    const late = {
      resource_type: "album",
      operation: "upsert",
      id,
      data: { name: "late" },
      expected_version: 1,
    };
    expect(await commit(late)).toMatchObject(problem(409, "version_conflict", { current: null }));
  });

  test("msgpack goes in and comes out", async () => {
    const { commit, send } = await library();
    const id = createId();
    const change = { resource_type: "tag", operation: "insert", id, data: { name: "ünï 🏔" } };
    const { status, headers, body } = await send("POST", "/commit", {
      body: packr.pack(change),
      headers: { "content-type": MSGPACK, accept: MSGPACK },
    });
    expect([status, headers.get("content-type")]).toEqual([200, MSGPACK]);
    expect(body.resource).toMatchObject({ id, version: 1, name: "ünï 🏔" });
    const mixed = await commit(
      { ...change, operation: "upsert", data: { name: "b" } },
      { headers: { accept: MSGPACK } },
    );
    expect(mixed.body.resource).toMatchObject({ id, version: 2, name: "b" });
  });

  test("X-Device-Id names the author; without it the token's subject writes", async () => {
    const { commit, send, insert, head } = await library();
    const before = await head();
    await insert("tag", { name: "by subject" });
    const change = { resource_type: "tag", operation: "insert", id: createId() };
    await commit(
      { ...change, data: { name: "by phone" } },
      { headers: { "x-device-id": "phone" } },
    );
    const { entries } = (await send("GET", `/log?after=${before}`)).body;
    expect(entries[0].device_id).not.toBe("phone");
    expect(entries[1].device_id).toBe("phone");
  });

  test("DOM-04: rows of domain index are their device's own", async () => {
    const { commit } = await library();
    const id = createId();
    const data = { device_id: "laptop", name: "Pictures" };
    const change = { resource_type: "location", id };
    const as = (device: string) => ({ headers: { "x-device-id": device } });
    const mine = await commit({ ...change, operation: "insert", data }, as("laptop"));
    expect(mine.status).toBe(200);
    const theirs = { ...change, operation: "update", data: { name: "Stolen" } };
    expect(await commit(theirs, as("phone"))).toMatchObject(problem(403, "forbidden"));
    expect((await commit(theirs, as("laptop"))).status).toBe(200);
  });

  test("the type's own route takes the same change without its type", async () => {
    const { send } = await library();
    const id = createId();
    const own = await send("POST", "/resources/album/commit", {
      body: { operation: "insert", id, data: { name: "own" } },
    });
    expect([own.status, own.body.resource.name]).toEqual([200, "own"]);
    const unknown = await send("POST", "/resources/nothing/commit", {
      body: { operation: "insert", id, data: {} },
    });
    expect(unknown).toMatchObject(problem(422, "unknown_resource_type"));
  });

  test("I1: sixty commits at once get sixty sequences without a gap", async () => {
    const { album, head } = await library();
    const before = await head();
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => album(`n${n}`)));
    const sequences = answers.map(({ body }) => body.sequence as number).toSorted((a, b) => a - b);
    expect(sequences).toEqual(Array.from({ length: 60 }, (_, n) => before + n + 1));
  });
};
