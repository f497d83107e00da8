import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabaseClient } from "../../src/runtime/file-client.ts";
import { bundledPlugins } from "../../plugins/index.ts";
import { createApp } from "../../src/http/app.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { createRegistry } from "../../src/resource/registry.ts";
import { createService } from "../../src/service.ts";
import type { Service } from "../../src/service.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Database } from "../../src/store/database.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import { SECRET } from "../support/world.ts";
import { withFaults } from "./faults.ts";
import type { DatabaseFaults } from "./faults.ts";
import { createNetwork } from "./network.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import { createVirtualTime } from "./time.ts";
import type { Owner, VirtualTime } from "./time.ts";

/** A node of the simulated cluster. */
interface SimulatedNode {
  readonly name: string;
  readonly owner: Owner;
  readonly service: Service;
}

/** Nodes over the same libSQL files, on one virtual clock and one bad network. */
export interface Cluster {
  readonly time: VirtualTime;
  readonly network: Network;
  readonly faults: DatabaseFaults;
  readonly nodes: Map<string, SimulatedNode>;
  readonly devices: Map<string, SimulatedNode>;
  start(name: string): Promise<SimulatedNode>;
  /** A service with files of its own, which can follow what the nodes lead. */
  startDevice(name: string): Promise<SimulatedNode>;
  /** As `kill -9`: nothing of it happens any more, not even what had begun to wait. */
  crash(name: string): void;
  /** Reads the files of the nodes, or of a device, as nobody's node. */
  inspect(library: string, device?: string): Database;
  [Symbol.asyncDispose](): Promise<void>;
}

const registry = createRegistry(bundledPlugins);
export const LEASE_MS = 15_000;

export async function createCluster(random: Random): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), "syncline-simulation-"));
  const time = createVirtualTime(1_700_000_000_000);
  const network = createNetwork({ time, random });
  const faults: DatabaseFaults = { failBefore: 0, failAfter: 0, failRead: 0, delayMs: 0 };
  const nodes = new Map<string, SimulatedNode>();
  const devices = new Map<string, SimulatedNode>();
  const opened: Database[] = [];
  const openRaw = (name: string, owner: Owner, folder = ""): Database => {
    const database = openDatabase({
      url: `file:${join(directory, folder + name)}.db`,
      durability: "normal",
      createClient: createDatabaseClient,
      clock: time.clockOf(owner),
      limits: defaultLimits,
      telemetry: silentTelemetry,
    });
    opened.push(database);
    return database;
  };
  const outside: Owner = { state: "running", skewMs: 0 };
  const startIn = async (name: string, folder: string): Promise<SimulatedNode> => {
    const owner: Owner = { state: "running", skewMs: random.below(20_000) - 10_000 };
    const clock = time.clockOf(owner);
    const service = await createService({
      registry,
      lease: { deviceId: name, nodeUrl: `http://${name}`, leaseMs: LEASE_MS },
      clock,
      limits: defaultLimits,
      telemetry: silentTelemetry,
      metrics: () => "",
      secret: SECRET,
      fetch: network.fetchFrom(name, owner),
      random: () => random.next(),
      corsOrigins: [],
      openDatabase: (database) =>
        withFaults(openRaw(database, owner, folder), { owner, time, random, faults }),
      dropDatabase: async () => {},
    });
    const app = createApp(service);
    const node = { name, owner, service };
    (folder === "" ? nodes : devices).set(name, node);
    network.attach(name, { owner, answer: async (request) => app.fetch(request) });
    return node;
  };
  return {
    time,
    network,
    faults,
    nodes,
    devices,
    start: (name) => startIn(name, ""),
    startDevice: (name) => startIn(name, `${name}-`),
    crash: (name) => {
      const node = nodes.get(name) ?? devices.get(name);
      if (node === undefined) return;
      node.owner.state = "dead";
      nodes.delete(name);
      devices.delete(name);
      network.detach(name);
    },
    inspect: (library, device) =>
      openRaw(library, outside, device === undefined ? "" : `${device}-`),
    [Symbol.asyncDispose]: async () => {
      for (const { owner } of [...nodes.values(), ...devices.values()]) owner.state = "dead";
      for (const database of opened) database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
