import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, packr, problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** Queries and what a client's cache needs of their answers. */
export const queries: Topic = (library) => {
  test("a query answers ids in order, their records, and what invalidates them", async () => {
    const { album, send, head } = await library();
    const zebra = (await album("zebra")).body.resource.id;
    const ant = (await album("ant")).body.resource.id;
    const { status, body } = await send("POST", "/query/album.list", {
      body: { input: { sort: "name" } },
    });
    expect(status).toBe(200);
    expect(Object.keys(body).toSorted()).toEqual(["cache", "data", "included", "meta"]);
    expect(body.data).toEqual([ant, zebra]);
    expect(body.included.album).toHaveLength(2);
    expect(body.included.album[0]).toMatchObject({ version: 1 });
    expect(body.cache.resources).toEqual({ album: [ant, zebra] });
    expect(body.cache.scopes).toBeArray();
    expect(body.cache.ttl_seconds).toBeNumber();
    expect(body.cache.invalidation).toBeDefined();
    expect(body.meta.sequence).toBe(await head());
    expect(body.meta.execution_time_ms).toBeNumber();
    expect(body.meta.query_id).toBeString();
  });

  test("GET with ?input= answers the same as POST; msgpack too", async () => {
    const { album, send } = await library();
    await album("get");
    const input = { sort: "-name", limit: 2 };
    const posted = await send("POST", "/query/album.list", { body: { input } });
    const got = await send(
      "GET",
      `/query/album.list?input=${encodeURIComponent(JSON.stringify(input))}`,
    );
    expect(got.body.data).toEqual(posted.body.data);
    expect(got.body.data).toHaveLength(2);
    const packed = await send("POST", "/query/album.list", {
      body: packr.pack({ input }),
      headers: { "content-type": MSGPACK, accept: MSGPACK },
    });
    expect(packed.body.data).toEqual(posted.body.data);
    expect((await send("GET", "/query/album.list")).status).toBe(200);
  });

  test("the files of a directory are paged, scoped to their location, and found by text", async () => {
    const { insert, send } = await library();
    const location_id = createId();
    const names = ["a.txt", "b.txt", "100%_c.txt"];
    for (const name of names) await insert("file", { location_id, name, size: 1 });
    const ask = (name: string, input: object) =>
      send("POST", `/query/file.${name}`, { body: { input } });
    const first = await ask("by_directory", { location_id, parent_id: null, limit: 2 });
    expect(first.body.data).toHaveLength(2);
    expect(first.body.cache.scopes).toContain(location_id);
    const last = first.body.included.file.find(
      (one: { id: string }) => one.id === first.body.data[1],
    );
    const rest = await ask("by_directory", { location_id, limit: 2, after: last.name });
    expect(rest.body.data).toHaveLength(1);
    expect((await ask("search", { text: ".txt" })).body.data).toHaveLength(3);
    const injected = await ask("search", { text: "'; DROP TABLE files; --" });
    expect([injected.status, injected.body.data]).toEqual([200, []]);
    expect((await ask("search", { text: "a.txt", limit: 1 })).body.data).toHaveLength(1);
  });

  test("an unknown query is 404, a bad input 422 with where, a bad ?input= 400", async () => {
    const { send } = await library();
    expect(await send("POST", "/query/album.nothing", { body: {} })).toMatchObject(
      problem(404, "not_found"),
    );
    const bad = await send("POST", "/query/album.list", { body: { input: { limit: "many" } } });
    expect(bad).toMatchObject(problem(422, "invalid_record"));
    expect(bad.body.issues[0].path).toBe("limit");
    expect(await send("GET", "/query/album.list?input=%7B")).toMatchObject(
      problem(400, "invalid_body"),
    );
    for (const name of ["__proto__", "constructor", "album.constructor", "album"]) {
      expect((await send("POST", `/query/${name}`, { body: {} })).status).toBe(404);
    }
  });
};
