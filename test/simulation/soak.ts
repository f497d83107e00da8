import { describe, simulate } from "./simulate.ts";

// bun run soak [count] [first seed] [nodes] [devices] [browsers]: many seeds, until one breaks.
const [count = 1_000, first = 1, nodeCount = 3, deviceCount = 1, browserCount = 2] = process.argv
  .slice(2)
  .map(Number);
let entryCount = 0;
for (let seed = first; seed < first + count; seed += 1) {
  const outcome = await simulate(seed, {
    nodeCount,
    deviceCount,
    browserCount,
    stepCount: 25,
  });
  entryCount += outcome.entryCount;
  if (outcome.broken.length > 0) {
    console.error(describe(outcome));
    process.exitCode = 1;
    if (process.env["KEEP_GOING"] === undefined) break;
  } else if ((seed - first + 1) % 50 === 0)
    console.log(`${seed - first + 1} seeds, ${entryCount} entries`);
}
