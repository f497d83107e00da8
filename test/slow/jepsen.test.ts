/**
 * In the manner of Jepsen: real nodes, a follower and real faults, and clients that write down what
 * they saw. The verdict is `cluster/checker.ts`, which asks nobody but them; then the log must be
 * dense, and every node, the follower and every subscriber must have the same. The nodes run a plugin
 * from a folder of its own (`cluster/outside`). `bun run jepsen --minutes 10` does it for longer.
 */
import { expect, test } from "bun:test";
import { findNetworkObstacle } from "../cluster/network.ts";
import { runCluster, saveHistory } from "../cluster/run.ts";
import type { Variant } from "../cluster/run.ts";

const seed = Number(process.env["JEPSEN_SEED"] ?? Date.now() % 1_000_000);

async function run(variant: Exclude<Variant, "network">, durationMs: number): Promise<void> {
  const outcome = await runCluster({ variant, seed, durationMs, writerCount: 8 });
  console.log(outcome.summary);
  const told = outcome.broken.length === 0 ? "" : await saveHistory(outcome);
  expect(told).toBe("");
  expect(outcome.world.counts.get("accepted") ?? 0).toBeGreaterThan(100);
}

test("I1 to I7: three nodes on shared files are killed, asked to go and locked out; the history is right", async () => {
  await run("files", 12_000);
}, 120_000);

test("I1 to I7: three nodes on one server are killed or sleep, and the server is; the history is right", async () => {
  await run("sqld", 15_000);
}, 120_000);

const obstacle = await findNetworkObstacle();
const reason = obstacle === null ? "" : ` (skipped, no network namespaces here: ${obstacle})`;

test.skipIf(obstacle !== null)(
  `I1 to I7: links between nodes, server and clients are cut; the history is right${reason}`,
  async () => {
    const words = ["--variant", "network", "--minutes", "0.25", "--writers", "8"];
    const command = ["test/cluster/jepsen.ts", ...words, "--seed", `${seed}`];
    const child = Bun.spawn([process.execPath, ...command], { stdout: "inherit", stderr: "pipe" });
    const told = await new Response(child.stderr).text();
    expect([await child.exited, told]).toEqual([0, ""]);
  },
  120_000,
);
