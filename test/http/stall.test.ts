import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import type { Limits } from "../../src/protocol/limits.ts";
import { createWorld } from "../support/world.ts";

const encoder = new TextEncoder();

test("BULK-01, I9: an upload that stalls is answered, announced as interrupted, and goes on by its token", async () => {
  await using world = await createWorld({ limits: { bulkChunk: 2, bulkStallMs: 50 } });
  const token = createId();
  const lines = Array.from({ length: 5 }, (_, index) =>
    JSON.stringify({ id: createId(), name: `t${index}` }),
  );
  const upload = async (body: BodyInit) => {
    const response = await world.app.request(
      `${world.at}/bulk?resource_type=tag&mode=insert&token=${token}`,
      {
        method: "POST",
        headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
        body,
      },
    );
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const stalling = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode(`${lines.slice(0, 3).join("\n")}\n`)),
  });
  const stalled = await upload(stalling);
  expect([stalled.status, stalled.body["code"]]).toEqual([400, "invalid_body"]);
  expect(String(stalled.body["detail"])).toContain("50 ms");
  const state = await world.send("GET", `${world.at}/bulk/${token}`);
  expect(state.body).toMatchObject({ state: "interrupted", affected_count: 2, sequence: 1 });
  expect(await world.count("SELECT count(*) FROM tags")).toBe(2);
  const whole = await upload(lines.join("\n"));
  expect(whole.body).toMatchObject({ state: "complete", affected_count: 5, sequence: 2 });
});

test("I9: a chunk of large records is full before it has as many as small ones fill it with", async () => {
  await using world = await createWorld({ limits: { bulkChunkBytes: 500, bulkStallMs: 50 } });
  const token = createId();
  const line = () => `${JSON.stringify({ id: createId(), name: "t".repeat(60) })}\n`;
  const lines = (count: number) => encoder.encode(Array.from({ length: count }, line).join(""));
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => [6, 6, 1].forEach((count) => controller.enqueue(lines(count))),
  });
  const stalled = await world.app.request(
    `${world.at}/bulk?resource_type=tag&mode=insert&token=${token}`,
    {
      method: "POST",
      headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
      body,
    },
  );
  expect(stalled.status).toBe(400);
  // Two chunks, each as much as came at once; the last record filled none.
  expect(await world.count("SELECT count(*) FROM tags")).toBe(12);
});

test("I10: a small body that does not arrive is answered, and changes nothing", async () => {
  await using world = await createWorld({ limits: { bodyTimeoutMs: 50 } });
  const start = encoder.encode('{"resource_type":"tag","operation":"insert",');
  const response = await world.app.request(`${world.at}/commit`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/json" },
    body: new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(start) }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: "invalid_body",
    detail: "The body did not arrive within 50 ms; send it again.",
  });
  expect(await world.sequences()).toEqual([]);
});

test("I9: large bodies that arrive at once share a bound; a small one always fits", async () => {
  await using world = await createWorld({ limits: { bodiesBytes: 150_000, bodyTimeoutMs: 50 } });
  const tag = () => ({ resource_type: "tag", operation: "insert", id: createId() });
  const changes = Array.from({ length: 400 }, () => ({ ...tag(), data: { name: "t".repeat(90) } }));
  const whole = encoder.encode(JSON.stringify({ changes: changes.slice(0, 399) }));
  expect(whole.length).toBeGreaterThan(75_000);
  const send = async (body: BodyInit) =>
    world.app.request(`${world.at}/batch`, {
      method: "POST",
      headers: { authorization: `Bearer ${world.token}`, "content-type": "application/json" },
      body,
    });
  const begun = Promise.withResolvers<void>();
  const held = send(
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(whole.slice(0, -1)),
      pull: () => begun.resolve(),
    }),
  );
  await begun.promise;
  const refused = await send(whole);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await world.insertAlbum("small")).toMatchObject({ status: 200 });
  // What does not arrive is given up, and makes room.
  expect((await held).status).toBe(400);
  expect((await send(whole)).status).toBe(200);
});

/** A world with a page of more than 64 KiB, and how to ask for it. */
async function createPage(limits: Partial<Limits>) {
  const world = await createWorld({ limits });
  const changes = Array.from({ length: 400 }, () => ({
    resource_type: "tag",
    operation: "insert",
    id: createId(),
    data: { name: "t".repeat(100) },
  }));
  expect((await world.send("POST", `${world.at}/batch`, { changes })).status).toBe(200);
  const ask = async (limit = 400, headers = {}) =>
    world.app.request(`${world.at}/resources/tag?limit=${limit}`, {
      headers: { authorization: `Bearer ${world.token}`, ...headers },
    });
  return { ask, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test("I9: large answers share a bound until they are taken, or given up; a small one always fits", async () => {
  await using page = await createPage({ answersBytes: 100_000 });
  const held = await page.ask();
  expect(held.status).toBe(200);
  const refused = await page.ask();
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await refused.json()).toMatchObject({ code: "overloaded" });
  expect((await page.ask(10)).status).toBe(200);
  const text = await held.text();
  expect((JSON.parse(text) as { resources: unknown[] }).resources).toHaveLength(400);

  const left = await page.ask(400, { "accept-encoding": "gzip" });
  expect(left.headers.get("content-encoding")).toBe("gzip");
  await left.body?.cancel();
  expect(await (await page.ask()).text()).toBe(text);
});

test("I9: whoever takes nothing of a large answer for long is left, and makes room", async () => {
  await using page = await createPage({ answersBytes: 100_000, slowReaderMs: 50 });
  const held = await page.ask();
  while ((await page.ask()).status === 503) await Bun.sleep(5);
  await expect(held.text()).rejects.toThrow("Nobody took what came next");
});
