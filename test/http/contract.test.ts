/** What of the contract is asked best from inside: what an operator has set, and edges of an answer. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createApp } from "../../src/http/app.ts";
import { isLoopback, readConfig } from "../../src/runtime/config.ts";
import { createWorld, tokenFor } from "../support/world.ts";

test("a token that asks too often gets 429 with Retry-After, and is served again", async () => {
  await using world = await createWorld({ limits: { requestsPerSecond: 2, requestBurst: 3 } });
  const ask = () => world.send("GET", `${world.at}/log`);
  const answers = [await ask(), await ask(), await ask(), await ask()];
  expect(answers.slice(0, 3).map(({ status }) => status)).toEqual([200, 200, 200]);
  const refused = answers[3];
  expect(refused?.status).toBe(429);
  expect(refused?.body).toMatchObject({
    code: "rate_limited",
    retry: "later",
    retry_after_seconds: 1,
  });
  expect(refused?.headers.get("retry-after")).toBe("1");
  await Bun.sleep(Number(refused?.headers.get("retry-after")) * 1_000);
  expect((await ask()).status).toBe(200);
});

async function askFrom(origins: readonly string[]) {
  const world = await createWorld();
  const app = createApp(Object.create(world.service, { corsOrigins: { value: origins } }));
  const ask = (method: string, origin: string, more: Record<string, string> = {}) =>
    app.request(`${world.at}/commit`, { method, headers: { origin, ...more } });
  return { ask, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test("CORS: a listed origin may ask and read what it needs, errors included; another may not", async () => {
  await using world = await askFrom(["https://app.example"]);
  const preflight = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-device-id",
  };
  const allowed = await world.ask("OPTIONS", "https://app.example", preflight);
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect(allowed.headers.get("access-control-allow-methods")).toBe("GET,HEAD,POST,DELETE");
  const headers = allowed.headers.get("access-control-allow-headers") ?? "";
  for (const name of [
    "authorization",
    "content-type",
    "content-encoding",
    "last-event-id",
    "x-remote-token",
  ]) {
    expect(headers.split(",")).toContain(name);
  }
  const refused = await world.ask("POST", "https://app.example");
  expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([
    401,
    "https://app.example",
  ]);
  expect(refused.headers.get("access-control-expose-headers")).toContain("retry-after");
  const other = await world.ask("OPTIONS", "https://evil.example", preflight);
  expect(other.headers.get("access-control-allow-origin")).toBeNull();
});

test("CORS: by default no origin may ask; * lets all; anything else stops the start", async () => {
  await using closed = await askFrom([]);
  const silent = await closed.ask("POST", "https://app.example");
  expect(silent.headers.get("access-control-allow-origin")).toBeNull();
  await using open = await askFrom(["*"]);
  const any = await open.ask("POST", "https://app.example");
  expect(any.headers.get("access-control-allow-origin")).toBe("*");
  for (const good of ["*", "https://a.example, http://localhost:5173", "tauri://localhost"]) {
    expect(readConfig({ CORS_ORIGINS: good }).CORS_ORIGINS).toBe(good);
  }
  for (const bad of ["a.example", "https://a.example/path", "https://a.example; *"]) {
    expect(() => readConfig({ CORS_ORIGINS: bad })).toThrow("CORS_ORIGINS is");
  }
});

test("a page that ends with the last record says that nothing follows", async () => {
  await using world = await createWorld();
  for (const name of ["a", "b", "c", "d"]) await world.insertAlbum(name);
  for (const name of ["second", "third", "fourth"]) {
    await world.send("POST", "/v1/libraries", { name });
  }
  for (const path of ["/v1/libraries", `${world.at}/resources/album`]) {
    const listed = async (query: string) => {
      const { libraries, resources, next_cursor } = (await world.send("GET", path + query)).body;
      return { count: (libraries ?? resources).length, next: next_cursor };
    };
    expect(await listed("?limit=4")).toEqual({ count: 4, next: null });
    const { count, next } = await listed("?limit=2");
    expect([count, typeof next]).toEqual([2, "string"]);
    expect(await listed(`?limit=2&after=${next}`)).toEqual({ count: 2, next: null });
  }
});

test("a batch of which nothing was committed tells the epoch it was refused under", async () => {
  await using world = await createWorld();
  const changes = [{ resource_type: "album", operation: "insert", id: createId(), data: {} }];
  const refused = await world.send("POST", `${world.at}/batch`, { changes, atomic: false });
  const { epoch } = world.library.state;
  expect(epoch).toBeGreaterThan(0);
  expect(refused.body).toMatchObject({ epoch, last_sequence: null, resources: [] });
  expect(refused.body.failed).toHaveLength(1);
});

test("I5: a mutation id is the same in capital letters", async () => {
  await using world = await createWorld();
  const [id, mutation] = [createId(), createId()];
  const capital = mutation.toUpperCase();
  const first = await world.insertAlbum("a", id, { mutation_id: capital });
  expect(first.body).toMatchObject({ mutation_id: mutation, replayed: false, sequence: 1 });
  for (const mutation_id of [mutation, capital]) {
    const again = await world.insertAlbum("a", id, { mutation_id });
    expect(again.body).toMatchObject({ mutation_id: mutation, replayed: true, sequence: 1 });
    const fate = await world.send("GET", `${world.at}/mutations/${mutation_id}`);
    expect(fate.body).toMatchObject({ state: "committed", sequence: 1 });
  }
  const other = await world.insertAlbum("b", id, { mutation_id: capital });
  expect([other.status, other.body.code]).toEqual([409, "mutation_reused"]);
  const { entries } = (await world.send("GET", `${world.at}/log`)).body;
  expect(entries.map((entry: { mutation_id: string }) => entry.mutation_id)).toEqual([mutation]);
});

test("figures name every library, so they are shown on loopback or for a token alone", async () => {
  await using world = await createWorld();
  const { id } = world.library.state;
  const statusFor = async (headers: Record<string, string>, hasOpenMetrics?: () => boolean) => {
    const service =
      hasOpenMetrics === undefined ? world.service : { ...world.service, hasOpenMetrics };
    return (await createApp(service).request("/metrics", { headers })).status;
  };
  const bearer = async (library: string) => ({
    authorization: `Bearer ${await tokenFor([{ library, role: "reader" }])}`,
  });
  expect(await statusFor({})).toBe(401);
  expect(await statusFor(await bearer(id))).toBe(403);
  expect(await statusFor(await bearer("*"))).toBe(200);
  expect(await statusFor({}, () => true)).toBe(200);
  for (const host of ["127.0.0.1", "localhost", "::1", "[::1]"])
    expect(isLoopback(host)).toBe(true);
  for (const host of ["0.0.0.0", "::", "127.0.0.1.example", "10.0.0.1"]) {
    expect(isLoopback(host)).toBe(false);
  }
});
