import { test } from "bun:test";
import { holdAll } from "./simulate.ts";

test("S1 to S7: three nodes, 90 seeds: leases move, requests are forwarded, streams relayed, the invariants hold", async () => {
  await holdAll({ nodeCount: 3, from: 1_000, count: 90 });
}, 600_000);
