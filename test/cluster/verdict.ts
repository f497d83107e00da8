import { createClient } from "@libsql/client";
import { dense } from "../support/world.ts";
import { findAnomalies } from "./checker.ts";
import { ask } from "./world.ts";
import type { Answer, ClusterWorld } from "./world.ts";

type LogRow = readonly [sequence: number, recordId: string, version: number, epoch: number];

/** The log, a page at a time: a server answers no more than some megabytes. */
async function readLog(url: string): Promise<LogRow[]> {
  const client = createClient({ url });
  const sql = `SELECT sequence, record_id, version, epoch FROM sync_log WHERE sequence > ?
    ORDER BY sequence LIMIT 10000`;
  const log: LogRow[] = [];
  for (;;) {
    const { rows } = await client.execute({ sql, args: [log.at(-1)?.[0] ?? 0] });
    log.push(...rows.map((row) => Array.from(row) as unknown as LogRow));
    if (rows.length === 0) break;
  }
  client.close();
  return log;
}

/** The log, straight from SQL: dense, its epochs rising, with each acknowledged write in its place. */
async function* judgeLog(world: ClusterWorld): AsyncGenerator<string> {
  const rows = await readLog(world.nodes.databaseUrl);
  const sequences = rows.map(([sequence]) => sequence);
  if (sequences.join() !== dense(rows.length).join()) yield "I1: the log is not dense";
  const epochs = rows.map(([, , , epoch]) => epoch);
  if (epochs.join() !== epochs.toSorted((a, b) => a - b).join()) yield "I3: an epoch goes back";
  world.counts.set("epochs", new Set(epochs).size);
  world.counts.set("head", rows.length);
  for (const { record, outcome } of world.writes) {
    if (outcome === null || outcome === "refused") continue;
    const row = rows[outcome.sequence - 1];
    if (row?.[1] !== record || row[2] !== outcome.version)
      yield `I4: sequence ${outcome.sequence} is not ${record} version ${outcome.version}`;
  }
  yield* judgeOrder(world, new Map(rows.map(([sequence, record]) => [record, sequence])));
}

/** Of what was sent as a line nothing stands without what stood before it, nor ahead of it. */
export function* judgeOrder(
  { sent }: Pick<ClusterWorld, "sent">,
  places: ReadonlyMap<string, number>,
): Generator<string> {
  for (const line of sent) {
    let last: number | undefined = 0;
    for (const record of line) {
      const place = places.get(record);
      if (place !== undefined && (last === undefined || place < last))
        yield `a line put ${record} at ${place}, and the one before it at ${last}`;
      last = place;
    }
  }
}

/** All lines, each once, in each history that has come to the end. */
function* judgeLines({ writes, subscribers }: ClusterWorld, lines: Set<string>): Generator<string> {
  for (const { after, events } of subscribers) {
    const seen = events.flatMap(({ records }) => records.map(({ record }) => record));
    const times = new Map<string, number>();
    for (const record of seen) times.set(record, (times.get(record) ?? 0) + 1);
    for (const { record, outcome } of writes) {
      if (!lines.has(record) || outcome === "refused") continue;
      if (outcome !== null && outcome.sequence <= after) continue;
      const found = times.get(record) ?? 0;
      const isRight = outcome === null ? found <= 1 : found === 1;
      if (!isRight) yield `I6: a subscriber saw the line ${record} ${found} times`;
    }
  }
}

/** Asks until there is an answer: a connection that died with its node is noticed by using it. */
async function insist(world: ClusterWorld, url: string): Promise<Answer> {
  const deadline = performance.now() + 30_000;
  let answer = await ask(world, url);
  while (answer?.status !== 200 && performance.now() < deadline) {
    await Bun.sleep(100);
    answer = await ask(world, url);
  }
  if (answer?.status === 200) return answer;
  throw new Error(`${url} never answered: ${JSON.stringify(answer)}`);
}

/** Every record that a service has, in the order of ids. */
async function readAll(world: ClusterWorld, url: string): Promise<string[]> {
  const records: string[] = [];
  for (const type of ["line", "register"]) {
    let after: string | null = "";
    while (after !== null) {
      const path: string = `${world.nodes.at}/resources/${type}?limit=1000&after=${after}`;
      const answer = await insist(world, url + path);
      records.push(...answer.body.resources.map((one: unknown) => JSON.stringify(one)));
      after = answer.body.next_cursor;
    }
  }
  return records;
}

/** Every node and the follower have the same records, once they have come to the same head. */
async function* judgeReplicas(world: ClusterWorld): AsyncGenerator<string> {
  const { nodes, at } = world.nodes;
  const [first, ...others] = [...nodes, ...(world.follower === null ? [] : [world.follower])];
  if (first === undefined) return;
  const head = async (url: string) => (await insist(world, `${url}${at}/checksum`)).body;
  const wanted = await head(first.url);
  const records = await readAll(world, first.url);
  world.counts.set("records", records.length);
  for (const { url } of others) {
    const deadline = performance.now() + 30_000;
    let found = await head(url);
    while (found.sequence !== wanted.sequence && performance.now() < deadline) {
      await Bun.sleep(100);
      found = await head(url);
    }
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      yield `I7: ${url} has ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`;
    if (!Bun.deepEquals(await readAll(world, url), records)) yield `I7: ${url} has other records`;
  }
}

/** What is wrong with a run whose faults are healed and whose clients have gone. */
export async function judge(world: ClusterWorld, lines: Set<string>): Promise<string[]> {
  const broken = [...world.complaints, ...findAnomalies(world), ...judgeLines(world, lines)];
  for await (const sentence of judgeLog(world)) broken.push(sentence);
  for await (const sentence of judgeReplicas(world)) broken.push(sentence);
  if (broken.length > 0) broken.push(`the follower said: ${world.follower?.said() ?? "nothing"}`);
  return broken;
}
