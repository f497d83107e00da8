/**
 * Measures the service against bounds and against a naive server, in the same minutes on the same
 * machine: `bun run bench`, or `bun run bench NAME…` for some parts. Only ratios of one run count.
 * With `--peers` it also compares the client caches that people could pick instead.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Part } from "./figure.ts";
import { describeMachine } from "./machine.ts";
import { measureBatch, measureBulk } from "./parts/bulk.ts";
import { measureCache } from "./parts/cache.ts";
import { measureCatchUp } from "./parts/catch-up.ts";
import { measureCommits } from "./parts/commits.ts";
import { measureFanOut, measureNeverReaders } from "./parts/fan-out.ts";
import { measureLatency } from "./parts/latency.ts";
import { measureStart } from "./parts/start.ts";
import { comparePeers } from "./parts/peers.ts";
import { formatRows, formatTable, readResults, writeReadme, writeResults } from "./report.ts";

const parts: Readonly<Record<string, Part>> = {
  commits: measureCommits,
  batch: measureBatch,
  bulk: measureBulk,
  latency: measureLatency,
  "fan-out": measureFanOut,
  "never-readers": measureNeverReaders,
  "catch-up": measureCatchUp,
  start: measureStart,
  cache: measureCache,
};

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    bulk: { type: "string", default: "200000" },
    subscribers: { type: "string", default: "1000" },
    readme: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
  },
});
const settings = {
  rounds: Number(flags.rounds),
  bulkCount: Number(flags.bulk),
  subscriberCount: Number(flags.subscribers),
};
const unknown = positionals.find((name) => parts[name] === undefined);
if (unknown !== undefined || !Object.values(settings).every((value) => value >= 1)) {
  process.stderr.write(
    `Usage: bun run bench [${Object.keys(parts).join(" | ")}]… [--rounds N] [--bulk N] [--subscribers N] [--peers] [--readme]\n`,
  );
  process.exit(2);
}

let results = await readResults();
for (const [name, measure] of Object.entries(parts)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const figures = await measure(settings);
  results = { ...results, [name]: { machine: describeMachine(), figures } };
  await writeResults(results);
  process.stdout.write(`${name}\n\n${formatTable(figures)}\n\n`);
}
if (flags.peers) {
  const comparison = await comparePeers(settings);
  results = { ...results, peers: { machine: describeMachine(), figures: [], comparison } };
  await writeResults(results);
  process.stdout.write(`peers\n\n${formatRows(comparison.head, comparison.rows)}\n\n`);
}
if (flags.readme) await writeReadme(results);
