import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

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
    start: (controller) =>
      controller.enqueue(new TextEncoder().encode(`${lines.slice(0, 3).join("\n")}\n`)),
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
