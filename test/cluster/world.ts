import { createId } from "../../src/base/id.ts";
import type { Random } from "../simulation/random.ts";
import type { CliProcess } from "../support/cli-process.ts";
import type { Nodes } from "../support/nodes.ts";
import type { ReadSeen, SubscriberSeen, WriteSeen } from "./checker.ts";

/** What the clients of one run share: whom they may ask, and the one history they write. */
export interface ClusterWorld {
  readonly nodes: Nodes;
  /** A replica with its own database; it answers reads that name the sequence they need. */
  readonly follower: CliProcess | null;
  readonly random: Random;
  readonly writes: WriteSeen[];
  /** The records of each line that was sent, in its order. */
  readonly sent: (readonly string[])[];
  readonly reads: ReadSeen[];
  readonly subscribers: SubscriberSeen[];
  /** What no client may ever see, in the words of the one who saw it. */
  readonly complaints: string[];
  readonly counts: Map<string, number>;
  /** The highest sequence that any client was told. */
  seen: number;
  /** Clients begin nothing new. */
  isOver: boolean;
  /** When clients give up what is still unanswered, by the clock of this process. */
  giveUpAt: number;
}

export function createClusterWorld(
  nodes: Nodes,
  follower: CliProcess | null,
  random: Random,
): ClusterWorld {
  return {
    nodes,
    follower,
    random,
    writes: [],
    sent: [],
    reads: [],
    subscribers: [],
    complaints: [],
    counts: new Map(),
    seen: 0,
    isOver: false,
    giveUpAt: Infinity,
  };
}

export function count(world: ClusterWorld, what: string): void {
  world.counts.set(what, (world.counts.get(what) ?? 0) + 1);
}

/** Any node, whether or not it lives. */
export const anyNode = ({ nodes, random }: ClusterWorld): string => random.pick(nodes.nodes).url;

/** A complaint of a code that is neither an answer nor to be tried again later. */
function complain(world: ClusterWorld, what: string, answer: Answer | null): void {
  world.complaints.push(`${what}: ${answer?.status} ${JSON.stringify(answer?.body)}`);
}

const ATTEMPT_MS = 8_000;

export interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
  readonly body: any;
}

/** Asks once. Null when there was no answer. */
export async function ask(
  world: ClusterWorld,
  url: string,
  body?: unknown,
): Promise<Answer | null> {
  try {
    const response = await fetch(url, {
      headers: world.nodes.headers,
      signal: AbortSignal.timeout(ATTEMPT_MS),
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return null;
  }
}

export interface Wish {
  readonly type: "register" | "line";
  readonly operation: "insert" | "upsert" | "update";
  readonly record: string;
  readonly expectedVersion?: number;
}

/** What a node may say instead of doing it; the same mutation is then sent again. */
const later = new Set([
  "not_leader",
  "stale_epoch",
  "database_unavailable",
  "overloaded",
  "rate_limited",
]);

/** Writes a unique value: the same mutation again and again, at any node, until it is answered. */
export async function write(world: ClusterWorld, wish: Wish): Promise<WriteSeen> {
  const { random } = world;
  const { record, expectedVersion } = wish;
  const value = createId();
  const request = {
    resource_type: wish.type,
    operation: wish.operation,
    id: record,
    data: { value },
    mutation_id: createId(),
    ...(expectedVersion === undefined ? {} : { expected_version: expectedVersion }),
  };
  // Some clients leave after one try, and never learn what became of their write.
  const isPatient = !random.chance(0.05);
  const base = { record, value, ...(expectedVersion === undefined ? {} : { expectedVersion }) };
  const startedAt = performance.now();
  const send = () => ask(world, `${anyNode(world)}${world.nodes.at}/commit`, request);
  const end = (outcome: WriteSeen["outcome"], endedAt = performance.now()): WriteSeen => {
    const seen = { ...base, startedAt, endedAt, outcome };
    world.writes.push(seen);
    count(world, outcome === null ? "indeterminate" : outcome === "refused" ? outcome : "accepted");
    return seen;
  };
  for (;;) {
    const answer = await send();
    if (answer?.status === 200) {
      const { sequence, resource, replayed } = answer.body;
      world.seen = Math.max(world.seen, sequence as number);
      if (replayed === true) count(world, "replayed");
      const endedAt = performance.now();
      if (random.chance(0.02)) {
        const again = await send();
        const isSame = again?.body.sequence === sequence && again?.body.replayed === true;
        if (again?.status === 200 && !isSame)
          world.complaints.push(
            `a mutation was answered with ${sequence}, then with ${JSON.stringify(again.body)}`,
          );
      }
      return end({ sequence, version: resource.version }, endedAt);
    }
    const code = answer?.body.code as string | undefined;
    if (code === "version_conflict" || (code === "not_found" && wish.operation === "update"))
      return end("refused");
    if (code !== undefined && !later.has(code)) {
      complain(world, wish.operation, answer);
      return end(null);
    }
    count(world, code === undefined ? "unanswered" : `later: ${code}`);
    if (!isPatient || performance.now() > world.giveUpAt) return end(null);
    await Bun.sleep(5 + random.below(30));
  }
}

/** Writes new records as one line: what has no answer yet again and again, at any node. */
export async function writeInLine(world: ClusterWorld, size: number): Promise<void> {
  const { random, nodes } = world;
  let waiting = Array.from({ length: size }, () => ({ record: createId(), value: createId() }));
  world.sent.push(waiting.map(({ record }) => record));
  const mutations = waiting.map(({ record: id, value }) => ({
    mutation_id: createId(),
    commit: { resource_type: "line", operation: "insert", id, data: { value } },
  }));
  const isPatient = !random.chance(0.05);
  const startedAt = performance.now();
  const end = (one: (typeof waiting)[number], outcome: WriteSeen["outcome"]): void => {
    world.writes.push({ ...one, startedAt, endedAt: performance.now(), outcome });
    count(world, outcome === null ? "indeterminate" : "accepted");
  };
  for (;;) {
    const left = mutations.slice(size - waiting.length);
    const answer = await ask(world, `${anyNode(world)}${nodes.at}/mutations`, { mutations: left });
    const { answers = [], stopped = answer?.body } = answer?.body ?? {};
    for (const [at, { sequence, resource, problem }] of answers.entries()) {
      const one = waiting[at];
      if (one === undefined || problem !== undefined) complain(world, "a line", answer);
      else end(one, { sequence, version: resource.version });
      world.seen = Math.max(world.seen, (sequence as number | undefined) ?? 0);
    }
    waiting = waiting.slice(answers.length);
    if (waiting.length === 0) return count(world, "lines");
    const code = stopped?.code as string | undefined;
    if (code !== undefined && !later.has(code)) complain(world, "a line", answer);
    count(world, code === undefined ? "unanswered" : `later: ${code}`);
    if (!isPatient || performance.now() > world.giveUpAt) break;
    await Bun.sleep(5 + random.below(30));
  }
  for (const one of waiting) end(one, null);
}
