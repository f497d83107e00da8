import { expect, test } from "bun:test";
import { holdAll, simulate } from "./simulate.ts";

test("S1 to S7: one node, 50 seeds: whatever its clients, network and database suffer, the invariants hold", async () => {
  await holdAll({ nodeCount: 1, from: 1, count: 50 });
}, 300_000);

test("the same seed gives the same history", async () => {
  const [one, other] = [
    await simulate(11, { nodeCount: 3, stepCount: 15, deviceCount: 1, browserCount: 1 }),
    await simulate(11, { nodeCount: 3, stepCount: 15, deviceCount: 1, browserCount: 1 }),
  ];
  expect(other.history).toEqual(one.history);
  expect(other.digest).toBe(one.digest);
}, 60_000);
