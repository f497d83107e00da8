/** I9: what is read at once is bounded by its bytes, not only by its number. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

test("a page of large records ends by its bytes, and its cursor goes on until all were read", async () => {
  await using world = await createWorld({ limits: { pageBytes: 20_000 } });
  const ids: string[] = [];
  for (let at = 0; at < 200; at += 1) {
    const id = createId();
    const description = "x".repeat(at < 70 ? 10 : 9_000);
    const data = { name: "a", description };
    const change = { resource_type: "album", operation: "insert", id, data };
    expect((await world.send("POST", `${world.at}/commit`, change)).status).toBe(200);
    ids.push(id);
  }
  const seen: string[] = [];
  const counts: number[] = [];
  for (let after = ""; ;) {
    const { body } = await world.send(
      "GET",
      `${world.at}/resources/album?limit=1000${after === "" ? "" : `&after=${after}`}`,
    );
    const found = body.resources.map(({ id }: { id: string }) => id);
    seen.push(...found);
    counts.push(found.length);
    if (body.next_cursor === null) break;
    expect(body.next_cursor).toBe(found.at(-1));
    after = body.next_cursor;
  }
  expect(seen).toEqual(ids);
  // The small ones at once, of the large ones as many as fit.
  expect(counts[0]).toBeGreaterThanOrEqual(70);
  expect(Math.max(...counts.slice(1))).toBeLessThan(20);
});
