/**
 * Simulation: nodes, writers and subscribers on one virtual clock over real libSQL files, with a network
 * and a database that fail as the seed says. After every step the log is dense (I1), rows and entries
 * agree (I2), epochs only rise (I3), what was acknowledged stands (I4) and took effect once (I5); in the
 * end every subscriber has seen every event (I6) and holds what the database holds (I7).
 */
import { mintToken } from "../../src/auth/token.ts";
import { SECRET } from "../support/world.ts";
import { LEASE_MS, createCluster } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { findBroken, findDivergence, findUnequal, readEvidence } from "./invariants.ts";
import { createRandom } from "./random.ts";
import type { Random } from "./random.ts";
import { createSubscriber } from "./subscriber.ts";
import { createBrowser } from "./browser.ts";
import { createWriter } from "./writer.ts";

export interface Outcome {
  readonly seed: number;
  /** What happened, a line a step, in the notation `sequence@epoch`. */
  readonly history: readonly string[];
  readonly broken: readonly string[];
  /** The same for the same seed, or the simulation itself is at fault. */
  readonly digest: string;
  readonly entryCount: number;
}

export interface SimulationOptions {
  readonly nodeCount: number;
  readonly stepCount: number;
  /** Devices that follow the nodes with files of their own; none by default. */
  readonly deviceCount?: number;
  /** Real clients with a list on the screen; none by default. */
  readonly browserCount?: number;
}

/** One thing that goes wrong, or right again. Answers what to write into the history. */
type Move = (
  cluster: Cluster,
  random: Random,
  names: readonly string[],
) => Promise<string> | string;

const moves: Readonly<Record<string, Move>> = {
  crash: async (cluster, random, names) => {
    const name = random.pick(names);
    cluster.crash(name);
    await cluster.time.advance(random.below(3_000));
    await restart(cluster, name);
    return `${name} is killed and starts again`;
  },
  pause: (cluster, random) => {
    const node = random.pick([...cluster.nodes.values(), ...cluster.devices.values()]);
    node.owner.state = "paused";
    return `${node.name} sleeps`;
  },
  wake: (cluster) => {
    for (const { owner } of [...cluster.nodes.values(), ...cluster.devices.values()])
      owner.state = "running";
    return "all wake";
  },
  cut: (cluster, random, names) => {
    const ends = ["clients", "browser1", ...names];
    const [one, other] = [random.pick(ends), random.pick(names)];
    if (one !== other) cluster.network.cut(one, other);
    return `${one} and ${other} are cut`;
  },
  heal: (cluster) => {
    cluster.network.heal();
    return "the links heal";
  },
  faults: ({ faults, network }, random) => {
    faults.failBefore = random.pick([0, 0, 0.1]);
    faults.failAfter = random.pick([0, 0, 0.1]);
    faults.failRead = random.pick([0, 0, 0, 0.05]);
    faults.delayMs = random.pick([0, 20, 400]);
    network.faults.dropRequest = random.pick([0, 0.1]);
    network.faults.dropAnswer = random.pick([0, 0.2]);
    network.faults.duplicate = random.pick([0, 0.2]);
    network.faults.delayMs = random.pick([0, 50, 1_000]);
    return `faults ${JSON.stringify({ ...faults, ...network.faults })}`;
  },
  stall: () => "time passes",
};

/** As a supervisor does: a node that cannot start is started again a second later. */
async function restart(cluster: Cluster, name: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      const isDevice = name.startsWith("device");
      await cluster.time.during(isDevice ? cluster.startDevice(name) : cluster.start(name));
      return;
    } catch {
      cluster.crash(name);
      await cluster.time.advance(1_000);
    }
  }
  throw new Error(`${name} does not start.`);
}

function repair({ nodes, devices, network, faults }: Cluster): void {
  for (const { owner } of [...nodes.values(), ...devices.values()]) owner.state = "running";
  network.heal();
  Object.assign(faults, { failBefore: 0, failAfter: 0, failRead: 0, delayMs: 0 });
  Object.assign(network.faults, { dropRequest: 0, dropAnswer: 0, duplicate: 0, delayMs: 0 });
}

async function createLibrary(cluster: Cluster, token: string, id: string): Promise<void> {
  const outside = { state: "running" as const, skewMs: 0 };
  const fetch = cluster.network.fetchFrom("clients", outside);
  const [name = ""] = cluster.nodes.keys();
  const response = await fetch(`http://${name}/v1/libraries`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "home", id }),
  });
  if (response.status !== 201)
    throw new Error(`The library was not created: ${await response.text()}`);
}

interface Common {
  readonly names: readonly string[];
  readonly token: string;
  readonly library: string;
  readonly options: SimulationOptions;
}

/** Writers, subscribers, devices that follow, and people with browsers. */
async function startClients(cluster: Cluster, random: Random, common: Common) {
  const { names, token, library, options } = common;
  const { time, network } = cluster;
  const owner = { state: "running" as const, skewMs: 0 };
  const clock = time.clockOf(owner);
  const shared = {
    fetch: network.fetchFrom("clients", owner),
    sleep: (ms: number) => clock.sleep(ms),
    random,
    nodeNames: names,
    library,
    token,
  };
  const ids = Array.from({ length: 8 }, () => random.id());
  const writers = Array.from({ length: 3 }, () => createWriter({ ...shared, ids }));
  const subscribers = Array.from({ length: 2 }, () => createSubscriber(shared));
  for (let index = 0; index < (options.deviceCount ?? 0); index += 1) {
    const device = await cluster.startDevice(`device${index + 1}`);
    const leaderUrl = `http://${random.pick(names)}`;
    await device.service.following.follow({ libraryId: library, leaderUrl, token });
  }
  const browsers = Array.from({ length: options.browserCount ?? 0 }, (_, index) => {
    const [name, url] = [`browser${index + 1}`, `http://${random.pick(names)}`];
    return createBrowser({ name, url, network, time, random, library, token });
  });
  for (const actor of [...writers, ...subscribers, ...browsers]) void actor.run();
  return { writers, subscribers, browsers };
}

/** The first run of a process imports keys, which takes real time; it must not be one that counts. */
let warm: Promise<Outcome> | null = null;

/** Runs one seed to its end. Everything that happens follows from it. */
export async function simulate(seed: number, options: SimulationOptions): Promise<Outcome> {
  await (warm ??= run(0, { nodeCount: 3, stepCount: 8 }));
  return run(seed, options);
}

type Clients = Awaited<ReturnType<typeof startClients>>;

/** All is repaired: everybody who writes goes on, then stops; everybody who reads must agree. */
async function finish(cluster: Cluster, clients: Clients, library: string): Promise<string[]> {
  const { time } = cluster;
  const { writers, subscribers, browsers } = clients;
  const database = cluster.inspect(library);
  const broken: string[] = [];
  repair(cluster);
  await time.advance(LEASE_MS * 3);
  const before = (await readEvidence(database)).head;
  await time.advance(10_000);
  const after = (await readEvidence(database)).head;
  if (after === before) broken.push("liveness: nobody can write although all is well again");
  for (const actor of [...writers, ...browsers]) actor.stop();
  await time.advance(LEASE_MS * 4);
  const evidence = await readEvidence(database);
  const attempts = writers.flatMap((writer) => writer.attempts);
  broken.push(...findBroken(evidence, attempts));
  for (const subscriber of subscribers) broken.push(...findDivergence(evidence, subscriber));
  const open = attempts.filter(({ outcome }) => outcome === null);
  const openLines = open.filter(
    ({ behind }) => !open.some(({ mutationId }) => mutationId === behind),
  );
  if (openLines.length > writers.length) broken.push(`${open.length} attempts were never answered`);
  for (const name of cluster.devices.keys()) {
    const replica = await readEvidence(cluster.inspect(library, name));
    broken.push(...findUnequal(evidence, replica).map((what) => `I7: ${name}: ${what}`));
  }
  for (const browser of browsers) {
    broken.push(...browser.findDivergence(evidence));
    await browser.close();
  }
  for (const subscriber of subscribers) subscriber.stop();
  return broken;
}

async function run(seed: number, options: SimulationOptions): Promise<Outcome> {
  const random = createRandom(seed);
  await using cluster = await createCluster(random);
  const { time } = cluster;
  const history: string[] = [];
  const names = Array.from({ length: options.nodeCount }, (_, index) => `node${index + 1}`);
  for (const name of names) await cluster.start(name);
  const library = random.id();
  const outside = { state: "running" as const, skewMs: 0 };
  const token = await mintToken({
    secret: SECRET,
    subject: "tester",
    grants: [{ library: "*", role: "owner" }],
    ttlSeconds: null,
    clock: time.clockOf(outside),
  });
  await createLibrary(cluster, token, library);
  const database = cluster.inspect(library);
  const clients = await startClients(cluster, random, { names, token, library, options });
  const { writers, subscribers } = clients;
  const broken: string[] = [];
  const check = async (what: string): Promise<boolean> => {
    const evidence = await readEvidence(database);
    const last = evidence.entries.at(-1);
    history.push(`${time.now} ${what}: ${last?.sequence ?? 0}@${last?.epoch ?? 0}`);
    const attempts = writers.flatMap((writer) => writer.attempts);
    broken.push(...findBroken(evidence, attempts));
    for (const subscriber of subscribers) broken.push(...subscriber.faults);
    return broken.length === 0;
  };
  for (let step = 0; step < options.stepCount; step += 1) {
    const move = moves[random.pick(Object.keys(moves))];
    const targets = [...names, ...cluster.devices.keys()];
    const what = (await move?.(cluster, random, targets)) ?? "";
    await time.advance(random.pick([5, 200, 1_000, LEASE_MS * 1.5]));
    if (!(await check(what))) break;
  }
  if (broken.length === 0) broken.push(...(await finish(cluster, clients, library)));
  const { entries } = await readEvidence(database);
  const versions = entries.map(({ recordId, version }) => [recordId, version]);
  const digest = String(Bun.hash(JSON.stringify([history, versions])));
  return { seed, history, broken, digest, entryCount: entries.length };
}

/** What a person needs to see a failure again. */
export function describe({ seed, history, broken }: Outcome): string {
  return [`seed ${seed}`, ...history.slice(-40), ...broken.slice(0, 10)].join("\n");
}

/** Runs `count` seeds from `from` on. @throws an error with the history of the first that breaks an invariant */
export async function holdAll({
  from,
  count,
  ...options
}: Omit<SimulationOptions, "stepCount"> & {
  readonly from: number;
  readonly count: number;
}): Promise<void> {
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = await simulate(seed, { ...options, stepCount: 25 });
    if (outcome.broken.length > 0) throw new Error(describe(outcome));
  }
}
