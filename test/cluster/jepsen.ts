import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { faultKinds } from "./faults.ts";
import { createHub } from "./network.ts";
import { runCluster } from "./run.ts";
import type { Variant } from "./run.ts";

// bun run jepsen [--minutes N] [--seed S] [--writers W] [--variant files|sqld|network]: one run of each
// variant, or of the one named, until something breaks. What its clients saw then lies in .cache.
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    writers: { type: "string", default: "16" },
    variant: { type: "string" },
    hub: { type: "string" },
  },
});
const isVariant = (text: string): text is Variant => text in faultKinds;
const variants = (values.variant === undefined ? Object.keys(faultKinds) : [values.variant]).filter(
  isVariant,
);
const durationMs = (Number(values.minutes) * 60_000) / variants.length;

/** The same again, in the namespace where the clients of the network live. */
async function runInHub(): Promise<number> {
  const hub = `sync${process.pid}`;
  const remove = await createHub(hub);
  const { minutes, seed, writers } = values;
  const own = ["--minutes", String(durationMs / 60_000), "--seed", seed, "--writers", writers];
  const words = [...own, "--variant", "network", "--hub", hub];
  try {
    const command = [process.execPath, "test/cluster/jepsen.ts", ...words];
    return await Bun.spawn(["ip", "netns", "exec", hub, ...command], {
      stdout: "inherit",
      stderr: "inherit",
    }).exited;
  } finally {
    void minutes;
    await remove();
  }
}

for (const variant of variants) {
  if (variant === "network" && values.hub === undefined) {
    process.exitCode ||= await runInHub();
    continue;
  }
  const seed = Number(values.seed);
  const { broken, summary, world } = await runCluster({
    variant,
    seed,
    durationMs,
    writerCount: Number(values.writers),
    ...(values.hub === undefined ? {} : { hub: values.hub }),
  });
  console.log(summary);
  if (broken.length === 0) continue;
  const path = `.cache/jepsen-${variant}-${seed}.json`;
  await mkdir(".cache", { recursive: true });
  const { writes, reads, subscribers } = world;
  await Bun.write(path, JSON.stringify({ broken, writes, reads, subscribers }));
  console.error(
    `${broken.slice(0, 20).join("\n")}\n${broken.length} in all; the history is ${path}`,
  );
  process.exitCode = 1;
}
