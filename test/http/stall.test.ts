import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
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
