import { test } from "bun:test";
import { holdAll } from "./simulate.ts";

test("I7: nodes, a device that follows and two browsers of two tabs, 24 seeds: all that is shown is what is stored", async () => {
  await holdAll({ nodeCount: 3, deviceCount: 1, browserCount: 2, from: 2_000, count: 24 });
}, 300_000);
