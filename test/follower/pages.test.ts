/** I9: what a copy takes at once is bounded by its bytes, not only by its number. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import { createPair, recordsOf } from "../support/pair.ts";

test("large records are stored a few at a time", async () => {
  const taken: number[] = [];
  const count = (name: string, by = 1): void => {
    if (name === "follower_records" && by > 0) taken.push(by);
  };
  await using pair = await createPair({ telemetry: { ...silentTelemetry, count } });
  const lines = Array.from({ length: 30 }, () =>
    JSON.stringify({ id: createId(), file_id: createId(), custom: { pad: "x".repeat(400_000) } }),
  );
  const stored = await pair.leader.app.request(
    `${pair.at}/bulk?resource_type=user_metadata&mode=insert`,
    {
      method: "POST",
      headers: {
        authorization: `Bearer ${pair.leader.token}`,
        "content-type": "application/x-ndjson",
      },
      body: lines.join("\n"),
    },
  );
  expect(stored.status).toBe(200);
  await (await pair.follow()).settle();
  expect(taken.reduce((sum, one) => sum + one, 0)).toBe(30);
  expect(Math.max(...taken)).toBeLessThanOrEqual(11);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(pair.leader.library));
});
