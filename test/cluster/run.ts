import { join, resolve } from "node:path";
import { createId } from "../../src/base/id.ts";
import { createRandom } from "../simulation/random.ts";
import { startCli } from "../support/cli-process.ts";
import { createNodes } from "../support/nodes.ts";
import {
  createRegisters,
  runAppender,
  runRegisterClient,
  runSender,
  runSubscriber,
} from "./clients.ts";
import { faultKinds, inflict, planFaults } from "./faults.ts";
import { createNetwork } from "./network.ts";
import { judge } from "./verdict.ts";
import { ask, createClusterWorld, write } from "./world.ts";
import type { ClusterWorld } from "./world.ts";

export type Variant = keyof typeof faultKinds;

export interface RunOptions {
  readonly variant: Variant;
  readonly seed: number;
  readonly durationMs: number;
  readonly writerCount: number;
  readonly leaseMs?: number;
  /** The namespace of the clients, for the variant `network`. */
  readonly hub?: string;
  /** Hears of a long run what its clients have counted so far. */
  readonly tell?: (progress: string) => void;
}

export interface RunOutcome {
  readonly name: string;
  readonly broken: readonly string[];
  readonly summary: string;
  readonly world: ClusterWorld;
}

const folder = resolve("test/cluster/outside");
const NODE_COUNT = 3;
/** How long clients may still try after the last fault. */
const GRACE_MS = 30_000;

/** Three nodes and a follower, clients that write down what they see, faults, and a verdict. */
export async function runCluster(options: RunOptions): Promise<RunOutcome> {
  const { variant, seed, durationMs, writerCount, leaseMs = 2_000, hub } = options;
  await using stack = new AsyncDisposableStack();
  const network = hub === undefined ? null : await createNetwork(hub, NODE_COUNT);
  stack.defer(async () => network?.remove());
  const nodes = await createNodes({
    count: NODE_COUNT,
    leaseMs,
    store: variant === "files" ? "files" : "sqld",
    folder,
    ...(network === null ? {} : { places: network }),
  });
  stack.use(nodes);
  const follower = await startFollower(nodes);
  stack.defer(async () => {
    follower.kill("SIGKILL");
    await follower.exited;
  });
  const world = createClusterWorld(nodes, follower, createRandom(seed));
  // Whoever begins to follow takes a snapshot; from here on it has the log as well.
  await write(world, { type: "line", operation: "insert", record: createId() });
  await reach(world, follower.url);
  const last = createId();
  const nodeUrls = () => nodes.nodes.map(({ url }) => url);
  const subscribe = (more: { readonly isSlow?: boolean; readonly urls?: () => string[] } = {}) =>
    runSubscriber(world, { urls: nodeUrls, last, ...more });
  const subscribers = [
    subscribe(),
    subscribe(),
    subscribe(),
    subscribe({ isSlow: true }),
    subscribe({ urls: () => [follower.url] }),
  ];
  const registers = createRegisters(world);
  const writers = Array.from({ length: writerCount }, (_, index) => {
    if (index % 4 === 2) return runSender(world);
    return index % 2 === 0 ? runAppender(world) : runRegisterClient(world, registers);
  });
  const kinds = faultKinds[variant];
  // A fault takes its time too, and more of it on a machine that is busy.
  const endsAt = performance.now() + durationMs;
  for (const fault of planFaults({ seed, kinds, durationMs, leaseMs })) {
    if (performance.now() > endsAt) break;
    await Bun.sleep(fault.afterMs);
    await inflict(world, fault, network);
    options.tell?.(countsOf(world));
  }
  world.isOver = true;
  world.giveUpAt = performance.now() + GRACE_MS;
  await Promise.all(writers);
  await write(world, { type: "line", operation: "insert", record: last });
  await Promise.all(subscribers);
  const isRegister = new Set(registers.all());
  const lines = new Set(
    world.writes.map(({ record }) => record).filter((record) => !isRegister.has(record)),
  );
  const broken = await judge(world, lines);
  const summary = `${variant}, seed ${seed}: ${countsOf(world)}`;
  return { name: `${variant}-${seed}`, broken, summary, world };
}

function countsOf({ counts }: ClusterWorld): string {
  const lines = [...counts].map(([what, times]) => `${what} ${times}`);
  return lines.toSorted((a, b) => (a < b ? -1 : 1)).join(", ");
}

/** Writes down what the clients saw. Answers what to tell of a broken run. */
export async function saveHistory({ name, broken, world }: RunOutcome): Promise<string> {
  const path = `.cache/jepsen-${name}.json`;
  const { writes, reads, subscribers } = world;
  await Bun.write(path, JSON.stringify({ broken, writes, reads, subscribers }));
  const shown = [...broken.slice(0, 20), ...broken.slice(-1)].join("\n");
  return `${shown}\n${broken.length} in all; ${path} has the history`;
}

/** Waits until a service has all that was written. */
async function reach(world: ClusterWorld, url: string): Promise<void> {
  const path = `${url}${world.nodes.at}/checksum?at=${world.seen}`;
  for (
    let answer = await ask(world, path);
    answer?.status !== 200;
    answer = await ask(world, path)
  ) {
    await Bun.sleep(50);
  }
}

function startFollower(nodes: Awaited<ReturnType<typeof createNodes>>) {
  const [leader] = nodes.nodes;
  if (leader === undefined) throw new Error("Nobody to follow.");
  const replica = `file:${join(nodes.directory, "replica")}/{database}.db`;
  const words = ["--library", nodes.library, "--database", replica, "--port", "0"];
  const token = nodes.headers.authorization.replace("Bearer ", "");
  const env = { SYNCLINE_TOKEN: token, DURABILITY: "normal" };
  return startCli(["follow", leader.url, ...words], { env, folder });
}
