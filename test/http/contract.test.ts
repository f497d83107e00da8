/** What of the contract cannot be asked from outside: limits and origins that an operator has set. */
import { expect, test } from "bun:test";
import { createApp } from "../../src/http/app.ts";
import { readConfig } from "../../src/runtime/config.ts";
import { createWorld } from "../support/world.ts";

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
  for (const name of ["authorization", "content-type", "content-encoding", "last-event-id"]) {
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
