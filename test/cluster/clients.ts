import { createId } from "../../src/base/id.ts";
import { readFrames } from "../support/events.ts";
import type { EventSeen, ReadSeen } from "./checker.ts";
import { anyNode, ask, count, write, writeInLine } from "./world.ts";
import type { ClusterWorld } from "./world.ts";

/** Registers that are in use, renewed after a while so that each has a short history. */
export function createRegisters(world: ClusterWorld, size = 5, uses = 150) {
  const ids = Array.from({ length: size }, createId);
  const used = new Map<string, number>();
  return {
    all: (): readonly string[] => [...used.keys()],
    pick: (): string => {
      const index = world.random.below(size);
      const id = ids[index] as string;
      const times = (used.get(id) ?? 0) + 1;
      used.set(id, times);
      if (times >= uses) ids[index] = createId();
      return id;
    },
  };
}
export type Registers = ReturnType<typeof createRegisters>;

/** Any node answers as newly as the database (README, "Decisions"), so such a read is owed everything. */
const EVERYTHING = Number.MAX_SAFE_INTEGER;

/** Reads a register: at the newest there is, or from any node at a sequence that somebody was told. */
async function read(world: ClusterWorld, record: string): Promise<ReadSeen | null> {
  const { random, nodes, follower } = world;
  const startedAt = performance.now();
  const isAtSequence = random.chance(0.5);
  const minSequence = isAtSequence ? world.seen : EVERYTHING;
  const node =
    isAtSequence && follower !== null && random.chance(0.25) ? follower.url : anyNode(world);
  const query = isAtSequence ? `?min_sequence=${minSequence}` : "";
  const answer = await ask(world, `${node}${nodes.at}/resources/register/${record}${query}`);
  if (answer === null || answer.status === 503) return null;
  if (answer.status !== 200 && answer.status !== 404) {
    world.complaints.push(`read: ${answer.status} ${JSON.stringify(answer.body)}`);
    return null;
  }
  const { version, value } = answer.body;
  const found = answer.status === 404 ? null : { version, value };
  const seen = { record, startedAt, minSequence, found };
  world.reads.push(seen);
  count(world, "reads");
  return seen;
}

/** Reads, writes blindly, and writes what nobody else may have changed since. */
export async function runRegisterClient(world: ClusterWorld, registers: Registers): Promise<void> {
  while (!world.isOver) {
    const record = registers.pick();
    const kind = world.random.next();
    if (kind < 0.4) await write(world, { type: "register", operation: "upsert", record });
    else {
      const seen = await read(world, record);
      if (seen === null) await Bun.sleep(20);
      else if (kind < 0.8 && seen.found !== null) {
        const expectedVersion = seen.found.version;
        await write(world, { type: "register", operation: "update", record, expectedVersion });
      }
    }
  }
}

/** Writes one new record after another. */
export async function runAppender(world: ClusterWorld): Promise<void> {
  while (!world.isOver) {
    await write(world, { type: "line", operation: "insert", record: createId() });
  }
}

/** Sends one line of new records after another. */
export async function runSender(world: ClusterWorld): Promise<void> {
  while (!world.isOver) await writeInLine(world, 2 + world.random.below(20));
}

export interface SubscriberOptions {
  readonly urls: () => readonly string[];
  /** Rests now and then, so that what it has not read piles up. */
  readonly isSlow?: boolean;
  /** The record that is written when all else is over. */
  readonly last: string;
}

/** A stream that says nothing for so long is left for another. The heartbeat comes every 15 s. */
const SILENCE_MS = 6_000;
/** Who still comes further at the end goes on; one that stands still for so long is given up. */
const STILL_MS = 30_000;

/** Follows all events from here on, with its cursor from node to node, until it has seen the last. */
export async function runSubscriber(
  world: ClusterWorld,
  options: SubscriberOptions,
): Promise<void> {
  const { random, nodes } = world;
  const events: EventSeen[] = [];
  let cursor = world.seen;
  world.subscribers.push({ after: cursor, events });
  let isLast = false;
  let movedAt = performance.now();
  while (!isLast && performance.now() < Math.max(world.giveUpAt, movedAt + STILL_MS)) {
    const url = random.pick(options.urls());
    const controller = new AbortController();
    let timer = setTimeout(() => controller.abort(), SILENCE_MS);
    let left = 50 + random.below(2_000);
    try {
      const at = `${url}${nodes.at}/events?encoding=json&after=${cursor}`;
      const response = await fetch(at, { headers: nodes.headers, signal: controller.signal });
      if (!response.ok) throw new Error(await response.text());
      for await (const { id: position, event, data } of readFrames(response)) {
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(), SILENCE_MS);
        if (event === "reset") world.complaints.push(`a subscriber at ${cursor} was told ${data}`);
        if (data === null && Number(position) > cursor) {
          // What was superseded since: a position without an event.
          events.push({ sequence: Number(position), span: Number(position) - cursor, records: [] });
          cursor = Number(position);
        }
        if (data === null || event?.startsWith("Resource") !== true) continue;
        const { envelope, kind } = JSON.parse(data);
        if (event !== "ResourceChanged") world.complaints.push(`an event nobody caused: ${data}`);
        const { id, version, value } = kind.data.resource;
        const { sequence, span } = envelope;
        events.push({ sequence, span, records: [{ record: id, version, value }] });
        cursor = sequence;
        movedAt = performance.now();
        count(world, "events");
        isLast ||= id === options.last;
        if (isLast || (left -= 1) === 0) break;
        if (options.isSlow === true && !world.isOver && random.chance(0.002)) {
          clearTimeout(timer);
          await Bun.sleep(2_000);
        }
      }
    } catch {
      // Nodes die; the cursor does not.
    }
    clearTimeout(timer);
    controller.abort();
    count(world, "connections");
    if (!isLast) await Bun.sleep(20 + random.below(50));
  }
  if (!isLast) world.complaints.push(`a subscriber never came further than ${cursor}`);
}
