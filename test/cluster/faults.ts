import { createRandom } from "../simulation/random.ts";
import type { CliProcess } from "../support/cli-process.ts";
import { ask, count } from "./world.ts";
import type { ClusterWorld } from "./world.ts";
import type { Network } from "./network.ts";

/**
 * kill, terminate   a node dies by SIGKILL, or goes by SIGTERM, and comes back
 * sleep             the leader is stopped beyond its lease, and wakes (not on files: it keeps their lock)
 * server            sqld is killed, and started again
 * lock              another process holds the database file
 * cut               two of nodes, server and clients do not reach each other: all is dropped in silence
 */
export type FaultKind = "kill" | "terminate" | "sleep" | "server" | "lock" | "cut";

export interface Fault {
  readonly kind: FaultKind;
  /** Before it, and until it is healed. */
  readonly afterMs: number;
  readonly holdMs: number;
  /** Picks a node, and the other end of a link. */
  readonly index: number;
  readonly other: number;
}

export const faultKinds: Readonly<Record<"files" | "sqld" | "network", readonly FaultKind[]>> = {
  files: ["kill", "kill", "terminate", "lock"],
  sqld: ["kill", "kill", "terminate", "sleep", "server"],
  network: ["cut", "cut", "cut", "kill", "server"],
};

/** The faults of a run; they follow from its seed alone. */
export function planFaults(options: {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  readonly durationMs: number;
  readonly leaseMs: number;
}): Fault[] {
  const random = createRandom(options.seed);
  const faults: Fault[] = [];
  let rest = options.durationMs;
  for (;;) {
    const kind = random.pick(options.kinds);
    const afterMs = 300 + random.below(1_500);
    // Half of them end before the lease does.
    const spread = random.below(options.leaseMs * 2);
    const holdMs = kind === "sleep" ? options.leaseMs + random.below(1_500) : 50 + spread;
    const fault = { kind, afterMs, holdMs, index: random.below(1_000), other: random.below(1_000) };
    rest -= afterMs + holdMs;
    if (rest < 0) return faults;
    faults.push(fault);
  }
}

/** Starts a node again; its database may be away for a moment. */
async function restart(world: ClusterWorld, index: number): Promise<void> {
  const { nodes } = world.nodes;
  for (let tries = 1; ; tries += 1) {
    try {
      nodes[index] = await world.nodes.start(index);
      return;
    } catch (error) {
      if (tries === 20) throw error;
      count(world, "starts that failed");
      await Bun.sleep(500);
    }
  }
}

async function findLeader(world: ClusterWorld): Promise<CliProcess | undefined> {
  const { nodes, at } = world.nodes;
  const answer = await ask(world, `${world.random.pick(nodes).url}${at}/leader`);
  return nodes.find(({ url }) => url === answer?.body.leader_url);
}

/** Does it, waits, and heals it. */
export async function inflict(
  world: ClusterWorld,
  fault: Fault,
  network: Network | null,
): Promise<void> {
  const { nodes } = world.nodes;
  const index = fault.index % nodes.length;
  const node = nodes[index] as CliProcess;
  const hold = () => Bun.sleep(fault.holdMs);
  count(world, `fault: ${fault.kind}`);
  switch (fault.kind) {
    case "kill":
      node.kill("SIGKILL");
      await node.exited;
      await hold();
      return restart(world, index);
    case "terminate": {
      node.kill("SIGTERM");
      const code = await Promise.race([node.exited, Bun.sleep(11_000).then(() => "nothing")]);
      if (code !== 0) world.complaints.push(`SIGTERM: a node ended with ${code}`);
      if (code === "nothing") node.kill("SIGKILL");
      await node.exited;
      await hold();
      return restart(world, index);
    }
    case "sleep": {
      const leader = (await findLeader(world)) ?? node;
      leader.kill("SIGSTOP");
      await hold();
      leader.kill("SIGCONT");
      return undefined;
    }
    case "server": {
      const start = await world.nodes.killSqld();
      await hold();
      return start();
    }
    case "lock": {
      const path = world.nodes.databaseUrl.replace("file:", "");
      const command = ["test/cluster/lock-file.ts", path, String(Math.min(fault.holdMs, 3_000))];
      const code = await Bun.spawn([process.execPath, ...command]).exited;
      if (code !== 0) count(world, "locks that were not had");
      return undefined;
    }
    case "cut": {
      const heal = await network?.cut(fault.index, fault.other);
      await hold();
      return heal?.();
    }
  }
}
