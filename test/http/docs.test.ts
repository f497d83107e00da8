import { expect, test } from "bun:test";
import { createWorld } from "../support/world.ts";

test("the OpenAPI document names every route, and each type's own fields in wire names", async () => {
  await using world = await createWorld();
  const { body } = await world.send("GET", "/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  expect(Object.keys(body.components.schemas.file.properties)).toContain("parent_id");
  expect(body.components.schemas.tag.required).toEqual(["name"]);
  for (const { path, method } of world.app.routes) {
    if (method === "ALL" || path.includes("/resources/:type/")) continue;
    expect(body.paths[path.replace(/:(\w+)/g, "{$1}")]).toHaveProperty(method.toLowerCase());
  }
  const page = await world.app.request("/docs");
  expect(await page.text()).toContain("Commit one change");
});

test("the OpenAPI document names each encoding that a route takes and answers in, and who may ask", async () => {
  await using world = await createWorld();
  const { body } = await world.send("GET", "/openapi.json");
  const at = "/v1/libraries/{library}";
  const route = (method: string, path: string) => body.paths[path][method];
  const mediaOf = (part: { readonly content: object }) => Object.keys(part.content);
  const either = ["application/json", "application/msgpack"];
  for (const path of [`${at}/commit`, `${at}/resources/album/batch`, `${at}/query/{name}`]) {
    const { requestBody, responses } = route("post", path);
    expect(mediaOf(requestBody)).toEqual(either);
    expect(mediaOf(responses[200])).toEqual(either);
    expect(mediaOf(responses.default)).toEqual(["application/problem+json", "application/msgpack"]);
  }
  for (const path of [`${at}/bulk`, `${at}/resources/album/bulk`]) {
    const { requestBody } = route("post", path);
    const records = "application/vnd.syncline.records+msgpack";
    expect(mediaOf(requestBody)).toEqual(["application/x-ndjson", records]);
    expect(requestBody.content[records].schema).toBeObject();
  }
  const { responses, security } = route("get", `${at}/events`);
  const events = "application/vnd.syncline.events+msgpack";
  expect(mediaOf(responses[200])).toEqual(["text/event-stream", events]);
  expect(security).toEqual([{ bearer: [] }, { ticket: [] }]);
  expect(mediaOf(route("get", `${at}/snapshot`).responses[200])).toEqual([
    "application/x-ndjson",
    "application/msgpack",
    "application/vnd.syncline.records+msgpack",
  ]);
  expect(mediaOf(route("get", "/healthz").responses[200])).toEqual(["application/json"]);
  for (const path of ["/healthz", "/readyz", "/docs"])
    expect(route("get", path).security).toEqual([]);
  expect(route("post", "/v1/pairing/join").security).toEqual([]);
  expect(route("post", `${at}/commit`).security).toBeUndefined();
});
