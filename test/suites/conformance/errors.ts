import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, packr, problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** Problems: RFC 9457, with a code, a retry and the facts; and what hostile bodies get. */
export const errors: Topic = (library) => {
  test("a problem has all its members, and names the request it answers", async () => {
    const { commit, at } = await library();
    const refused = await commit({ resource_type: "album", operation: "insert", id: "x" });
    expect(refused.headers.get("content-type")).toStartWith("application/problem+json");
    expect(refused).toMatchObject(problem(400, "invalid_body", { retry: "never" }));
    expect(refused.body.instance).toBe(`${at}/commit`);
    expect(refused.body.title).toBeString();
    expect(refused.body.detail).toContain("id");
    expect(refused.body.issues[0]).toMatchObject({ path: "id", message: expect.any(String) });
  });

  test("a problem comes in msgpack to whoever accepts that", async () => {
    const { commit } = await library();
    const refused = await commit({ id: 1 }, { headers: { accept: MSGPACK } });
    expect(refused.headers.get("content-type")).toBe(MSGPACK);
    expect(refused).toMatchObject(problem(400, "invalid_body"));
  });

  test("I10: a body that is no JSON, no text, empty or of another type gets 400, and changes nothing", async () => {
    const { send, head } = await library();
    const before = await head();
    const bodies: (string | Uint8Array)[] = [
      "{",
      "",
      "null",
      "[]",
      '"text"',
      "1",
      "\u0000",
      new Uint8Array([0xff, 0xfe, 0x7b, 0x7d]),
      `${"[".repeat(50_000)}${"]".repeat(50_000)}`,
      `{"resource_type":"album","operation":"insert","id":"${createId()}","data":${'{"a":'.repeat(100)}1${"}".repeat(100)}}`,
    ];
    for (const body of bodies) {
      for (const path of ["/commit", "/batch", "/actions/file.delete", "/query/album.list"]) {
        if (path.startsWith("/query") && body.length > 50) continue;
        expect(await send("POST", path, { body })).toMatchObject(problem(400, "invalid_body"));
      }
    }
    const xml = { "content-type": "text/xml" };
    expect(await send("POST", "/commit", { body: "<a/>", headers: xml })).toMatchObject(
      problem(400, "invalid_body"),
    );
    const msgpack = { "content-type": MSGPACK };
    const gzip = { "content-type": "application/json", "content-encoding": "gzip" };
    const packed = await send("POST", "/commit", { body: Bun.gzipSync("{}"), headers: gzip });
    expect(packed).toMatchObject(problem(400, "invalid_body"));
    expect(packed.body.detail).toContain("gzip");
    for (const body of [new Uint8Array([0xc1]), new Uint8Array([0x81]), packr.pack([1, 2])]) {
      expect(await send("POST", "/commit", { body, headers: msgpack })).toMatchObject(
        problem(400, "invalid_body"),
      );
    }
    expect(await head()).toBe(before);
  });

  test("I10: a field named __proto__ is refused at any depth, and pollutes nothing", async () => {
    const { send, head, insert } = await library();
    const before = await head();
    const change = (data: string) =>
      `{"resource_type":"album","operation":"insert","id":"${createId()}","data":${data}}`;
    for (const body of [
      change('{"__proto__":{"name":"inherited"}}'),
      change('{"name":"a","__proto__":null}'),
      change('{"name":"a","custom":{"deep":[{"__proto__":{"polluted":1}}]}}'),
      `{"__proto__":{"resource_type":"album"},"operation":"insert","id":"${createId()}"}`,
    ]) {
      expect(await send("POST", "/commit", { body })).toMatchObject(problem(400, "invalid_body"));
    }
    const query = '{"__proto__":{"limit":1}}';
    expect(await send("POST", "/query/album.list", { body: `{"input":${query}}` })).toMatchObject(
      problem(400, "invalid_body"),
    );
    expect(await send("GET", `/query/album.list?input=${encodeURIComponent(query)}`)).toMatchObject(
      problem(400, "invalid_body"),
    );
    const lines = `${JSON.stringify({ id: createId() }).slice(0, -1)},"__proto__":{"name":"x"}}`;
    expect(
      await send("POST", "/bulk?resource_type=album&on_error=skip", {
        body: lines,
        headers: { "content-type": "application/x-ndjson" },
      }),
    ).toMatchObject({ status: 200, body: { affected_count: 0, failed_count: 1 } });
    // Its own packer would rename the field: {"__proto__": {"name": "x"}}, by hand.
    const proto = Buffer.concat([Buffer.from([0x81, 0xa9]), Buffer.from("__proto__")]);
    const data = Buffer.concat([proto, packr.pack({ name: "inherited" })]);
    const head1 = packr.pack({ resource_type: "album", operation: "insert", id: createId() });
    head1[0] = 0x84;
    const packed = Buffer.concat([head1, packr.pack("data"), data]);
    const refused = await send("POST", "/commit", {
      body: new Uint8Array(packed),
      headers: { "content-type": MSGPACK },
    });
    expect(refused.status).toBeGreaterThanOrEqual(400);
    expect(await head()).toBe(before);
    for (const name of ["constructor", "prototype", "hasOwnProperty"]) {
      expect((await insert("album", { name: "a", [name]: { x: 1 } })).status).toBeLessThan(500);
    }
    expect((await insert("album", {})).status).toBe(422);
  });

  test("a request keeps its id, in the answer as in the problem; a problem always has one", async () => {
    const { send } = await library();
    const named = { "x-request-id": "caller-1.2:3" };
    const found = await send("GET", "/log", { headers: named });
    expect(found.headers.get("x-request-id")).toBe("caller-1.2:3");
    const missing = await send("GET", `/resources/album/${createId()}`, { headers: named });
    expect(missing.headers.get("x-request-id")).toBe("caller-1.2:3");
    const own = await send("GET", `/resources/album/${createId()}`, {
      headers: { "x-request-id": "x".repeat(500) },
    });
    expect(own.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("very long ids, types and names are refused without being quoted whole", async () => {
    const { send, insert, api } = await library();
    const long = "x".repeat(5_000);
    const refused = await insert("album", { name: "a" }, { id: long });
    expect(refused).toMatchObject(problem(400, "invalid_body"));
    expect(JSON.stringify(refused.body).length).toBeLessThan(1_500);
    expect((await insert(long, {})).status).toBe(422);
    expect((await send("GET", `/resources/album/${long}`)).status).toBe(404);
    expect((await api("GET", `/v1/libraries/${long}`)).status).toBe(404);
    expect((await send("GET", `/mutations/${long}`)).status).toBe(200);
  });

  test("a query parameter that nobody knows is ignored, so that newer clients can ask older services", async () => {
    const { send } = await library();
    for (const path of ["/log?colour=red", "/resources/album?colour=red", "/leader?x=%00"]) {
      expect((await send("GET", path)).status).toBe(200);
    }
  });

  test("a body past the limit gets 413 with the limit", async () => {
    const { insert } = await library();
    const refused = await insert("album", { name: "a", description: "x".repeat(1_200_000) });
    expect(refused).toMatchObject(problem(413, "body_too_large"));
    expect(refused.body.limit_bytes).toBeNumber();
  });

  test("what is not there gets 404: routes, libraries, records, methods", async () => {
    const { api, send } = await library();
    const missing: [string, string][] = [
      ["GET", "/nowhere"],
      ["GET", "/v1/nowhere"],
      ["GET", `/v1/libraries/${createId()}`],
      ["GET", "/v1/libraries/not-a-uuid"],
      ["GET", "/v1/libraries/..%2f..%2fetc%2fpasswd/log"],
      ["POST", `/v1/libraries/${createId()}/stream-tickets`],
      ["GET", `/v1/libraries/${createId()}/events`],
    ];
    for (const [method, path] of missing) {
      expect(await api(method, path)).toMatchObject(problem(404, "not_found"));
    }
    expect(await send("GET", `/resources/album/${createId()}`)).toMatchObject(
      problem(404, "not_found"),
    );
    expect(await send("PUT", "/commit", { body: {} })).toMatchObject(problem(404, "not_found"));
  });

  test("a resource type that nobody declared gets 422 with its name, wherever it is named", async () => {
    const { insert, send } = await library();
    const unknown = problem(422, "unknown_resource_type", { resource_type: "nothing" });
    expect(await insert("nothing", {})).toMatchObject(unknown);
    expect(await send("GET", "/resources/nothing")).toMatchObject(unknown);
    expect(await send("GET", `/resources/nothing/${createId()}`)).toMatchObject(unknown);
    expect(await send("GET", "/snapshot?types=nothing")).toMatchObject(unknown);
    expect(await send("GET", "/events?types=nothing")).toMatchObject(unknown);
    const ndjson = { "content-type": "application/x-ndjson" };
    expect(
      await send("POST", "/bulk?resource_type=nothing", { body: "{}", headers: ndjson }),
    ).toMatchObject(unknown);
    for (const type of ["__proto__", "constructor", "toString", "sync_log"]) {
      expect((await insert(type, {})).status).toBe(422);
      expect((await send("GET", `/resources/${type}`)).status).toBe(422);
    }
  });

  test("a client that names a protocol older than the oldest spoken here gets 426", async () => {
    const { send } = await library();
    const as = (protocol: string) =>
      send("GET", "/log", { headers: { "x-syncline-protocol": protocol } });
    expect(await as("0")).toMatchObject(problem(426, "protocol_too_old", { protocol: 1 }));
    expect((await as("1")).status).toBe(200);
    expect((await as("new")).status).toBe(400);
  });

  test("numbers in a query string that are no numbers get 400", async () => {
    const { send } = await library();
    for (const path of [
      "/log?after=x",
      "/log?after=-1",
      "/log?after=1.5",
      "/log?limit=x",
      "/log?after=99999999999999999999",
      "/resources/album?limit=-1",
      "/events?after=x",
      "/events?encoding=xml",
      "/checksum?at=x",
    ]) {
      expect(await send("GET", path)).toMatchObject(problem(400, "invalid_body"));
    }
  });
};
