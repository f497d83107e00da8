/** An application's own routes stand beside the contract, and never in its place. */
import { expect, test } from "bun:test";
import { Hono } from "hono";
import { createId } from "../../src/base/id.ts";
import { addRoutes } from "../../src/http/beside.ts";
import type { Host, Routes } from "../../src/routes.ts";
import { createWorld } from "../support/world.ts";

async function openBeside(routes: Routes) {
  const world = await createWorld();
  addRoutes(world.app, routes, { service: world.service, env: { COLOR: "red" } });
  const ask = async (method: string, path: string, headers = {}) =>
    world.app.request(path, { method, headers });
  return { ask, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test("they answer what the service has no route for, with whatever method", async () => {
  const beside: Routes = ({ env }) =>
    new Hono()
      .get("/", (c) => c.html("<p>the page</p>"))
      .post("/", (c) => c.text(env["COLOR"] ?? ""))
      .notFound((c) => c.text("none of mine", 404));
  await using world = await openBeside(beside);
  expect(await (await world.ask("GET", "/")).text()).toBe("<p>the page</p>");
  expect(await (await world.ask("POST", "/")).text()).toBe("red");
  expect((await world.ask("HEAD", "/")).status).toBe(200);
  expect(await (await world.ask("GET", "/other")).text()).toBe("none of mine");
});

test("what is the service's stays the service's, and what nobody answers is its problem", async () => {
  const asked: string[] = [];
  const beside: Routes = () => ({
    fetch: (request) => {
      asked.push(new URL(request.url).pathname);
      return null;
    },
  });
  await using world = await openBeside(beside);
  for (const path of ["/healthz", "/v1/libraries", "/v1/nothing", "/docs"])
    await world.ask("GET", path);
  expect(asked).toEqual([]);
  const missing = await world.ask("GET", "/nothing");
  expect(asked).toEqual(["/nothing"]);
  expect(missing.status).toBe(404);
  expect(await missing.json()).toMatchObject({ code: "not_found" });
});

test("one that throws is an internal problem, which says nothing of why", async () => {
  await using world = await openBeside(() => ({
    fetch: () => {
      throw new Error("the password is swordfish");
    },
  }));
  const answer = await world.ask("GET", "/");
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain("swordfish");
});

test("an answer that was fetched elsewhere, with headers of its own, is passed on", async () => {
  using elsewhere = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("far", { status: 404, headers: { "x-far": "yes" } }),
  });
  await using world = await openBeside(() => ({ fetch: () => fetch(elsewhere.url) }));
  const answer = await world.ask("GET", "/");
  expect([answer.status, answer.headers.get("x-far"), await answer.text()]).toEqual([
    404,
    "yes",
    "far",
  ]);
});

test("they ask the service as its owner, and sign tokens that it takes", async () => {
  let host: Host | undefined;
  await using world = await openBeside((given) => {
    host = given;
    return { fetch: () => null };
  });
  const id = createId();
  const made = await host?.ask("/v1/libraries", {
    method: "POST",
    body: JSON.stringify({ id, name: "Ada" }),
  });
  expect(made?.status).toBe(201);
  const grants = [{ library: id, role: "reader" }] as const;
  const token = await host?.mint({ subject: "ada", grants, ttlSeconds: 60 });
  const statusOf = async (path: string) =>
    (await world.ask("GET", path, { authorization: `Bearer ${token}` })).status;
  expect(await statusOf(`/v1/libraries/${id}`)).toBe(200);
  expect(await statusOf("/v1/libraries")).toBe(403);
});
