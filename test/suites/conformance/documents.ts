import { expect, test } from "bun:test";
import type { Topic } from "./world.ts";

const routes: Readonly<Record<string, string[]>> = {
  "/v1/libraries": ["get", "post"],
  "/v1/libraries/{library}": ["get", "delete"],
  "/v1/libraries/{library}/commit": ["post"],
  "/v1/libraries/{library}/batch": ["post"],
  "/v1/libraries/{library}/bulk": ["post"],
  "/v1/libraries/{library}/bulk/{token}": ["get"],
  "/v1/libraries/{library}/log": ["get"],
  "/v1/libraries/{library}/snapshot": ["get"],
  "/v1/libraries/{library}/checksum": ["get"],
  "/v1/libraries/{library}/events": ["get"],
  "/v1/libraries/{library}/leader": ["get"],
  "/v1/libraries/{library}/stream-tickets": ["post"],
};

/** Health, and the documents that describe the rest. */
export const documents: Topic = (library) => {
  test("the process lives, can commit, and counts what it does; without a token", async () => {
    const { api } = await library();
    const bare = { token: null };
    expect((await api("GET", "/healthz", bare)).status).toBe(200);
    expect((await api("GET", "/readyz", bare)).status).toBe(200);
    const metrics = await api("GET", "/metrics", bare);
    expect(metrics.status).toBe(200);
    expect(metrics.headers.get("content-type")).toStartWith("text/plain");
    expect(metrics.body).toContain("# TYPE syncline_requests_total counter");
  });

  test("OpenAPI 3.1 names the routes, and each type's own three with its own schema", async () => {
    const { api } = await library();
    const { status, body } = await api("GET", "/openapi.json", { token: null });
    expect([status, body.openapi]).toEqual([200, expect.stringMatching(/^3\.1\./)]);
    for (const [path, methods] of Object.entries(routes)) {
      for (const method of methods) expect(body.paths[path]).toHaveProperty(method);
    }
    for (const type of [
      "album",
      "album_item",
      "tag",
      "file_tag",
      "location",
      "file",
      "user_metadata",
    ]) {
      const at = `/v1/libraries/{library}/resources/${type}`;
      for (const own of ["commit", "batch", "bulk"]) {
        expect(JSON.stringify(body.paths[`${at}/${own}`]?.post)).toContain(`schemas/${type}`);
      }
      expect(body.components.schemas[type].properties).toBeObject();
    }
    expect(body.components.schemas.album.required).toEqual(["name"]);
    const text = JSON.stringify(body);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(body.components.schemas).toHaveProperty(name ?? "");
    }
  });

  test("a person can read it", async () => {
    const { api } = await library();
    const page = await api("GET", "/docs", { token: null });
    expect(page.headers.get("content-type")).toStartWith("text/html");
    expect(page.body).toContain("/v1/libraries/{library}/commit");
  });
};
