import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld, tokenFor } from "../support/world.ts";

test("I8: no route but health and documentation answers without a token", async () => {
  await using world = await createWorld();
  const open = new Set(["GET /healthz", "GET /readyz", "GET /docs", "GET /openapi.json"]);
  // A device that is being paired has no token yet: its code and its signature speak for it.
  const pairing = new Set(["POST /v1/pairing/join", "POST /v1/pairing/confirm"]);
  const routes = world.app.routes.filter(({ method }) => method !== "ALL");
  expect(routes.length).toBeGreaterThan(20);
  for (const { method, path } of routes) {
    if (pairing.has(`${method} ${path}`)) continue;
    const url = path.replace(":library", world.library.state.id).replace(/:\w+/g, "album");
    const { status } = await world.app.request(url, { method });
    expect(`${method} ${path} ${status}`).toBe(
      `${method} ${path} ${open.has(`${method} ${path}`) ? 200 : 401}`,
    );
  }
});

test("I10: bodies that cannot be read say what is wrong and change nothing", async () => {
  await using world = await createWorld({ limits: { bodyBytes: 10_000 } });
  const headers = { authorization: `Bearer ${world.token}` };
  const post = async (body: string | Uint8Array<ArrayBuffer>, type = "application/json") => {
    const response = await world.app.request(`${world.at}/commit`, {
      method: "POST",
      headers: { ...headers, "content-type": type },
      body,
    });
    return `${response.status} ${((await response.json()) as { code: string }).code}`;
  };
  const album = (data: unknown) =>
    JSON.stringify({ resource_type: "album", operation: "insert", id: createId(), data });
  expect(await post("{")).toBe("400 invalid_body");
  expect(await post("")).toBe("400 invalid_body");
  expect(await post("null")).toBe("400 invalid_body");
  expect(await post("a=b", "application/x-www-form-urlencoded")).toBe("400 invalid_body");
  expect(await post(new Uint8Array([0xff, 0xfe, 0x7b]))).toBe("400 invalid_body");
  expect(await post(new Uint8Array([0xc1]), "application/msgpack")).toBe("400 invalid_body");
  expect(await post("[".repeat(4_000) + "]".repeat(4_000))).toBe("400 invalid_body");
  expect(await post(album({ name: "x".repeat(20_000) }))).toBe("413 body_too_large");
  expect(await post(album({ name: "a\u0000b" }))).toBe("422 invalid_record");
  expect(await post('{"resource_type":"album","operation":"insert","id":"1","data":{}}')).toBe(
    "400 invalid_body",
  );
  expect(await post(album({ name: 7 }))).toBe("422 invalid_record");
  expect(await post(album({}).replace("album", "nothing"))).toBe("422 unknown_resource_type");
  expect(await world.sequences()).toEqual([]);
});

test("I8: a token opens only what it names", async () => {
  await using world = await createWorld();
  const as = async (token: string, method: string, path: string, body?: unknown) => {
    const { status } = await world.app.request(path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return status;
  };
  const library = world.library.state.id;
  const other = await tokenFor([{ library: createId(), role: "owner" }]);
  const reader = await tokenFor([{ library, role: "reader" }]);
  const tagger = await tokenFor([{ library, role: "writer", types: ["tag"] }]);
  const insert = (resource_type: string) => ({
    resource_type,
    operation: "insert",
    id: createId(),
    data: { name: "x" },
  });
  expect(await as(other, "GET", world.at)).toBe(403);
  expect(await as(other, "POST", "/v1/libraries", { name: "mine" })).toBe(403);
  expect(await as(reader, "GET", `${world.at}/log`)).toBe(200);
  expect(await as(reader, "POST", `${world.at}/commit`, insert("tag"))).toBe(403);
  expect(await as(tagger, "POST", `${world.at}/commit`, insert("tag"))).toBe(200);
  expect(await as(tagger, "POST", `${world.at}/commit`, insert("album"))).toBe(403);
  expect(
    await as(tagger, "POST", `${world.at}/batch`, { changes: [insert("tag"), insert("album")] }),
  ).toBe(403);
  expect(await as(await tokenFor([{ library, role: "owner" }], -10), "GET", world.at)).toBe(401);
  expect(await as("a.b.c", "GET", world.at)).toBe(401);
});
