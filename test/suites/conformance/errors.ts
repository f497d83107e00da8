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
    for (const body of [new Uint8Array([0xc1]), new Uint8Array([0x81]), packr.pack([1, 2])]) {
      expect(await send("POST", "/commit", { body, headers: msgpack })).toMatchObject(
        problem(400, "invalid_body"),
      );
    }
    expect(await head()).toBe(before);
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
