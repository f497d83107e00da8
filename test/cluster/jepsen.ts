import { parseArgs } from "node:util";
import { faultKinds } from "./faults.ts";
import { createHub } from "./network.ts";
import { runCluster, saveHistory } from "./run.ts";
import type { Variant } from "./run.ts";

// bun run jepsen [--minutes N] [--seed S] [--writers W] [--variant files|sqld|network]: shares the minutes
// out to all variants, or gives them to the one that is named. The faults follow from the seed.
// What the clients of a broken run saw lies in .cache.
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    writers: { type: "string", default: "16" },
    variant: { type: "string" },
    /** The namespace that this process was started in. */
    hub: { type: "string" },
  },
});
const isVariant = (text: string): text is Variant => text in faultKinds;
const named = values.variant === undefined ? Object.keys(faultKinds) : [values.variant];
const variants = named.filter(isVariant);
if (variants.length === 0) throw new Error("--variant is one of files, sqld and network.");
const minutes = Number(values.minutes) / variants.length;

/** The same again, where the clients of the network live. */
async function runInHub(): Promise<number> {
  const hub = `sync${process.pid}`;
  const remove = await createHub(hub);
  const words = ["--minutes", `${minutes}`, "--seed", values.seed, "--writers", values.writers];
  const command = [process.execPath, "test/cluster/jepsen.ts", ...words];
  const enter = ["ip", "netns", "exec", hub, ...command, "--variant", "network", "--hub", hub];
  try {
    return await Bun.spawn(enter, { stdout: "inherit", stderr: "inherit" }).exited;
  } finally {
    await remove();
  }
}

const SECOND = 1_000;
/** Tells how far a run is, at most every half minute. */
function createTell(): (progress: string) => void {
  const started = performance.now();
  let toldAt = started;
  return (progress) => {
    const now = performance.now();
    if (now - toldAt < 30 * SECOND) return;
    toldAt = now;
    // What goes to the other output is a broken promise.
    console.log(`${Math.round((now - started) / SECOND)} s: ${progress}`);
  };
}

for (const variant of variants) {
  const { hub } = values;
  if (variant === "network" && hub === undefined) {
    process.exitCode = (await runInHub()) || process.exitCode;
    continue;
  }
  const outcome = await runCluster({
    variant,
    seed: Number(values.seed),
    durationMs: minutes * 60_000,
    writerCount: Number(values.writers),
    tell: createTell(),
    ...(hub === undefined ? {} : { hub }),
  });
  console.log(outcome.summary);
  if (outcome.broken.length === 0) continue;
  console.error(await saveHistory(outcome));
  process.exitCode = 1;
}
