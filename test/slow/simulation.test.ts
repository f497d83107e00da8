/**
 * Simulation: nodes, writers and subscribers on one virtual clock over real libSQL files, with a network
 * and a database that fail as the seed says. After every step the log is dense (I1), rows and entries
 * agree (I2), epochs only rise (I3), what was acknowledged stands (I4) and took effect once (I5); in the
 * end every subscriber has seen every event (I6) and holds what the database holds (I7).
 */
import { expect, test } from "bun:test";
import { describe, simulate } from "../simulation/simulate.ts";
import type { SimulationOptions } from "../simulation/simulate.ts";

interface Seeds extends Omit<SimulationOptions, "stepCount"> {
  readonly from: number;
  readonly count: number;
}

async function holdAll({ from, count, ...options }: Seeds): Promise<void> {
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = await simulate(seed, { ...options, stepCount: 25 });
    if (outcome.broken.length > 0) throw new Error(describe(outcome));
  }
}

test("S1 to S7: one node, 50 seeds: whatever its clients, network and database suffer, the invariants hold", async () => {
  await holdAll({ nodeCount: 1, from: 1, count: 50 });
}, 300_000);

test("S1 to S7: three nodes, 90 seeds: leases move, requests are forwarded, streams relayed, the invariants hold", async () => {
  await holdAll({ nodeCount: 3, from: 1_000, count: 90 });
}, 600_000);

test("I7: nodes, a device that follows and two browsers of two tabs, 24 seeds: all that is shown is what is stored", async () => {
  await holdAll({ nodeCount: 3, deviceCount: 1, browserCount: 2, from: 2_000, count: 24 });
}, 300_000);

test("the same seed gives the same history", async () => {
  const [one, other] = [
    await simulate(11, { nodeCount: 3, stepCount: 15, deviceCount: 1, browserCount: 1 }),
    await simulate(11, { nodeCount: 3, stepCount: 15, deviceCount: 1, browserCount: 1 }),
  ];
  expect(other.history).toEqual(one.history);
  expect(other.digest).toBe(one.digest);
}, 60_000);
