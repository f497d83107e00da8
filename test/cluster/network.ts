import { inside } from "../support/cli-process.ts";
import type { Place } from "../support/cli-process.ts";

/**
 * A network of our own: the clients' namespace has a bridge, and each node and the database server
 * have a namespace with one link to it. No address is outside of them.
 *
 *     node0 ─┐
 *     node1 ─┼─ bridge (clients)
 *     node2 ─┤
 *     server ┘
 */
export interface Network {
  readonly nodes: readonly Place[];
  readonly sqld: Place;
  /** Two of them no longer reach each other, in silence. Answers what heals it. */
  cut(index: number, other: number): Promise<() => Promise<void>>;
  remove(): Promise<void>;
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "pipe" });
  if ((await child.exited) === 0) return;
  throw new Error(`${command.join(" ")}: ${(await new Response(child.stderr).text()).trim()}`);
}

const ip = (namespace: string, ...words: string[]) => run(["ip", "-n", namespace, ...words]);
/** Nobody has this address, so what is sent to it is lost without a word. */
const NOBODY = "02:00:00:00:00:01";

/** Why no network can be made here; null when it can. */
export async function findNetworkObstacle(): Promise<string | null> {
  const name = `sync${process.pid}x`;
  try {
    await run(["ip", "netns", "add", name]);
  } catch (error) {
    return error instanceof Error ? error.message : "unknown";
  }
  try {
    await ip(name, "link", "add", "br0", "type", "bridge");
    await run(inside(name, ["true"]));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : "unknown";
  } finally {
    await run(["ip", "netns", "delete", name]);
  }
}

/** The namespace in which the clients must run; it is made by whoever starts them. */
export async function createHub(name: string): Promise<() => Promise<void>> {
  await run(["ip", "netns", "add", name]);
  await ip(name, "link", "set", "lo", "up");
  await ip(name, "link", "add", "br0", "type", "bridge");
  await ip(name, "addr", "add", "10.77.0.1/24", "dev", "br0");
  await ip(name, "link", "set", "br0", "up");
  return () => run(["ip", "netns", "delete", name]);
}

/** Joins nodes and a server to the hub that this process runs in. */
export async function createNetwork(hub: string, count: number): Promise<Network> {
  const ends: (Place & { readonly namespace: string })[] = [
    { namespace: hub, host: "10.77.0.1", port: 0 },
  ];
  for (let index = 0; index <= count; index += 1) {
    const namespace = `${hub}n${index}`;
    const host = `10.77.0.${10 + index}`;
    await run(["ip", "netns", "add", namespace]);
    const pair = ["type", "veth", "peer", "name", "eth0", "netns", namespace];
    await ip(hub, "link", "add", `v${index}`, ...pair);
    await ip(hub, "link", "set", `v${index}`, "master", "br0", "up");
    await ip(namespace, "addr", "add", `${host}/24`, "dev", "eth0");
    await ip(namespace, "link", "set", "lo", "up");
    await ip(namespace, "link", "set", "eth0", "up");
    ends.push({ namespace, host, port: index === 0 ? 8_080 : 8_787 });
  }
  const device = (namespace: string): string => (namespace === hub ? "br0" : "eth0");
  return {
    sqld: ends[1] as Place,
    nodes: ends.slice(2),
    cut: async (index, other) => {
      const a = ends[index % ends.length] as (typeof ends)[number];
      const rest = ends.filter((end) => end !== a);
      const b = rest[other % rest.length] as (typeof ends)[number];
      const both = [[a, b] as const, [b, a] as const];
      for (const [from, { host }] of both) {
        const to = [host, "lladdr", NOBODY, "nud", "permanent", "dev", device(from.namespace)];
        await ip(from.namespace, "neigh", "replace", ...to);
      }
      return async () => {
        for (const [from, { host }] of both) {
          await ip(from.namespace, "neigh", "delete", host, "dev", device(from.namespace));
        }
      };
    },
    remove: async () => {
      for (const { namespace } of ends.slice(1)) await run(["ip", "netns", "delete", namespace]);
    },
  };
}
