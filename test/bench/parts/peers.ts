import { openChild } from "../child.ts";
import { formatNumber } from "../number.ts";
import { median, medianRatio } from "../statistics.ts";
import type { ContenderName, MeasureName, PeerCalls } from "../cache/peer.ts";
import type { Comparison, Settings } from "../figure.ts";

/** A contender that needs more for one measurement is ended, and the table says so. */
const LIMIT_MS = 20_000;

const contenders: Readonly<Record<ContenderName, string>> = {
  bare: "bare Map, owners inline",
  syncline: "**Syncline**",
  tanstackDb: "TanStack DB",
  tanstackQuery: "TanStack Query",
  tanstackQueryKnown: "TanStack Query, the list known",
  graphcache: "urql Graphcache",
  apollo: "Apollo Client, tuned",
  normy: "normy",
};
const measures: Readonly<Record<MeasureName, string>> = {
  update: "one event, µs",
  growth: "growth, 10 to 10,000 queries, ×",
  batch: "batch of 1,000, ms",
  optimistic: "optimistic and back, µs",
  hydrate: "hydrate 10,000, ms",
  heap: "heap of a row, B",
};
const names = Object.keys(contenders) as ContenderName[];

type Peer = ReturnType<typeof openChild<PeerCalls>>;
/** What was measured in each round, or why there is no figure. */
type Outcome = readonly number[] | string;

async function within<Result>(work: Promise<Result>): Promise<Result | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, LIMIT_MS, null)));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One measure of all contenders in turn; the first round warms them up and is not counted. */
async function measureAll(
  measure: MeasureName,
  rounds: number,
): Promise<Map<ContenderName, Outcome>> {
  const peers = new Map<ContenderName, Peer>();
  const outcomes = new Map<ContenderName, Outcome>();
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of names) {
        const known = outcomes.get(name) ?? [];
        if (typeof known === "string") continue;
        const peer = peers.get(name) ?? openChild<PeerCalls>("cache/peer.ts");
        peers.set(name, peer);
        // A process that is ended answers with an error, which nobody waits for any more.
        const work = peer.call("measure", { contender: name, measure });
        work.catch(() => {});
        const value = await within(work);
        if (value === null) {
          outcomes.set(name, `over ${LIMIT_MS / 1_000} s`);
          await peer[Symbol.asyncDispose]();
        } else outcomes.set(name, round === 0 ? [] : [...known, value]);
        // What one round held may still lie in the heap of the next.
        if (measure === "heap") {
          await peer[Symbol.asyncDispose]();
          peers.delete(name);
        }
      }
    }
  } finally {
    await Promise.all(Array.from(peers.values(), (peer) => peer[Symbol.asyncDispose]()));
  }
  return outcomes;
}

function toCell(outcome: Outcome | undefined, bound: Outcome | undefined): string {
  if (outcome === undefined || typeof outcome === "string") return outcome ?? "";
  const value = formatNumber(median(outcome));
  if (outcome === bound || bound === undefined || typeof bound === "string") return value;
  return `${value} (${formatNumber(medianRatio(outcome, bound))}×)`;
}

async function verifyAll(): Promise<void> {
  for (const name of names) {
    await using peer = openChild<PeerCalls>("cache/peer.ts");
    await peer.call("verify", name);
  }
}

/** The caches that people could pick instead, on the same work; each cell with its ratio to a Map. */
export async function comparePeers({ rounds }: Settings): Promise<Comparison> {
  await verifyAll();
  const rows = names.map((name) => [contenders[name]]);
  for (const measure of Object.keys(measures) as MeasureName[]) {
    const outcomes = await measureAll(measure, rounds);
    for (const [index, name] of names.entries())
      rows[index]?.push(toCell(outcomes.get(name), outcomes.get("bare")));
  }
  return { head: ["Cache", ...Object.values(measures)], rows };
}
