/**
 * Simulation: nodes, writers and subscribers on one virtual clock over real libSQL files, with a network
 * and a database that fail as the seed says. After every step the log is dense (I1), rows and entries
 * agree (I2), epochs only rise (I3), what was acknowledged stands (I4) and took effect once (I5); in the
 * end every subscriber has seen every event (I6) and holds what the database holds (I7).
 */
import { expect, test } from "bun:test";
import { describe, simulate } from "../simulation/simulate.ts";

const SEED_COUNT = 60;

test("S1 to S7: whatever one node's clients, network and database suffer, the invariants hold", async () => {
  for (let seed = 1; seed <= SEED_COUNT; seed += 1) {
    const outcome = await simulate(seed, { nodeCount: 1, stepCount: 25 });
    if (outcome.broken.length > 0) throw new Error(describe(outcome));
  }
}, 180_000);

test("the same seed gives the same history", async () => {
  const [one, other] = [
    await simulate(11, { nodeCount: 1, stepCount: 15 }),
    await simulate(11, { nodeCount: 1, stepCount: 15 }),
  ];
  expect(other.history).toEqual(one.history);
  expect(other.digest).toBe(one.digest);
});
