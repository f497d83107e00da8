/** A body that its sender cuts off is no failure of the service. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

function cutOff(text: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
    pull: (controller) => controller.error(new Error("The connection was closed.")),
  });
}

test.each(["commit", "bulk?resource_type=tag"])("%s", async (path) => {
  await using world = await createWorld();
  const record = `${JSON.stringify({ id: createId(), name: "a" })}\n`;
  const type = path === "commit" ? "application/json" : "application/x-ndjson";
  const answered = await world.app.request(`${world.at}/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": type },
    body: cutOff(record),
  });
  expect([answered.status, answered.headers.get("retry-after")]).toEqual([503, "1"]);
  const problem = await answered.json();
  expect(problem).toMatchObject({ code: "overloaded", retry: "later" });
  expect(problem.detail).toContain("broke off");
});
