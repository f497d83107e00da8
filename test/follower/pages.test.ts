/** I9: what a copy takes at once is bounded by its bytes, not only by its number. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import { createPair, recordsOf } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";

async function bulk(pair: Pair, query: string, records: readonly object[]): Promise<void> {
  const stored = await pair.leader.app.request(`${pair.at}/bulk?${query}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${pair.leader.token}`,
      "content-type": "application/x-ndjson",
    },
    body: records.map((record) => JSON.stringify(record)).join("\n"),
  });
  expect(stored.status).toBe(200);
}

test("large records are stored a few at a time", async () => {
  const taken: number[] = [];
  const count = (name: string, by = 1): void => {
    if (name === "follower_records" && by > 0) taken.push(by);
  };
  await using pair = await createPair({ telemetry: { ...silentTelemetry, count } });
  const records = Array.from({ length: 30 }, () => ({
    id: createId(),
    file_id: createId(),
    custom: { pad: "x".repeat(400_000) },
  }));
  await bulk(pair, "resource_type=user_metadata&mode=insert", records);
  await (await pair.follow()).settle();
  expect(taken.reduce((sum, one) => sum + one, 0)).toBe(30);
  expect(Math.max(...taken)).toBeLessThanOrEqual(11);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(pair.leader.library));
});

test("what the leader has deleted between two records that it still has goes a part at a time", async () => {
  await using pair = await createPair();
  const ids = Array.from({ length: 5_000 }, () => createId()).toSorted();
  await bulk(
    pair,
    "resource_type=tag&mode=insert",
    ids.map((id) => ({ id, name: "a tag" })),
  );
  const follower = await pair.follow();
  await follower.settle();
  const { database } = await pair.replica();
  await database.write([
    { sql: "CREATE TABLE gone (n INTEGER NOT NULL)", args: [] },
    { sql: "INSERT INTO gone VALUES (0)", args: [] },
    {
      sql: "CREATE TRIGGER count_gone AFTER DELETE ON tags BEGIN UPDATE gone SET n = n + 1; END",
      args: [],
    },
    {
      sql: `CREATE TRIGGER bound_gone BEFORE UPDATE OF snapshot_key ON follower BEGIN
        SELECT RAISE(ABORT, 'too many at once') WHERE (SELECT n FROM gone) > 2000;
        UPDATE gone SET n = 0; END`,
      args: [],
    },
  ]);
  await bulk(
    pair,
    "resource_type=tag&mode=delete",
    ids.slice(10, -10).map((id) => ({ id })),
  );
  expect(await follower.settle()).toBe("live");
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(pair.leader.library));
});
