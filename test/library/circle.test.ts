/** Copies that follow one another in a circle: nobody leads, and what is written would go round. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

/** A leader and services that follow it; each is reached at its name. */
async function createRing(names: readonly string[]) {
  const worlds = new Map<string, World>();
  const sent: string[] = [];
  for (const name of ["leader", ...names]) {
    const world = await createWorld({
      deviceId: name,
      fetch: async (url, init) => {
        const { host, pathname } = new URL(url);
        sent.push(`${name} ${init?.method ?? "GET"} ${host} ${pathname.split("/").at(-1)}`);
        const asked = worlds.get(host);
        if (asked === undefined) throw new TypeError("The network is down.");
        return asked.app.request(url, init);
      },
    });
    worlds.set(name, world);
  }
  const get = (name: string): World => worlds.get(name) as World;
  const { at, library } = get("leader");
  const libraryId = library.state.id;
  const follow = async (name: string, whom: string) => {
    const request = { library_id: libraryId, url: `http://${whom}`, token: get(whom).token };
    return get(name).send("POST", "/v1/following", request);
  };
  const follower = (name: string) => get(name).service.following.find(libraryId);
  for (const name of names) {
    expect((await follow(name, "leader")).status).toBe(201);
    expect(await follower(name)?.settle()).toBe("live");
  }
  return {
    get,
    at,
    sent,
    follow,
    follower,
    write: (name: string, query = "") =>
      get(name).send("POST", `${at}/commit${query}`, {
        resource_type: "album",
        operation: "insert",
        id: createId(),
        data: { name: "x" },
      }),
    [Symbol.asyncDispose]: async () => {
      for (const world of worlds.values()) await world[Symbol.asyncDispose]();
    },
  };
}

test("a copy is not turned to one that follows it, however far round", async () => {
  await using ring = await createRing(["a", "b", "c"]);
  expect((await ring.follow("b", "c")).status).toBe(201);
  expect((await ring.follow("c", "a")).status).toBe(201);
  const { status, body } = await ring.follow("a", "b");
  expect([status, body.code]).toEqual([400, "invalid_body"]);
  expect(body.issues[0].message).toContain("b → c → a");
  expect((await ring.write("b")).status).toBe(200);
});

test("a copy that was promoted does not follow the copy that follows it", async () => {
  await using ring = await createRing(["a", "b"]);
  await ring.write("leader");
  for (const name of ["a", "b"]) await ring.follower(name)?.settle();
  expect((await ring.follow("b", "a")).status).toBe(201);
  expect(await ring.follower("b")?.settle()).toBe("live");
  expect((await ring.get("a").send("POST", `${ring.at}/leader/promote`)).status).toBe(200);
  expect(await ring.follow("a", "b")).toMatchObject({
    status: 400,
    body: { code: "invalid_body" },
  });
  expect((await ring.write("b")).status).toBe(200);
});

test("copies that are turned to each other at one moment say so, and send no write round", async () => {
  await using ring = await createRing(["a", "b"]);
  const both = await Promise.all([ring.follow("a", "b"), ring.follow("b", "a")]);
  expect(both.map(({ status }) => status)).toEqual([201, 201]);
  expect(await ring.follower("a")?.settle()).toBe("refused");
  const { body: told } = await ring.get("a").send("GET", `${ring.at}/follower`);
  expect(told.reason).toContain("b → a");
  ring.sent.length = 0;
  const refused = await ring.write("a");
  expect([refused.status, refused.body.code]).toEqual([503, "overloaded"]);
  expect(refused.body.detail).toContain("b → a");
  const kept = await ring.write("a", "?queue=1");
  expect(kept.status).toBe(202);
  const bulk = await ring.get("a").app.request(`${ring.at}/bulk?resource_type=album`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${ring.get("a").token}`,
      "content-type": "application/x-ndjson",
    },
    body: JSON.stringify({ id: createId(), name: "y" }),
  });
  expect(bulk.status).toBe(503);
  expect(ring.sent.filter((one) => one.includes("POST"))).toEqual([]);
  expect((await ring.write("b")).status).toBe(503);
  expect((await ring.follow("a", "leader")).status).toBe(201);
  expect(await ring.follower("a")?.settle()).toBe("live");
  expect(await ring.follower("b")?.settle()).toBe("live");
  expect((await ring.write("b")).body.sequence).toBe(2);
});
