import type { Database } from "../../src/store/database.ts";
import type { Attempt } from "./writer.ts";

interface Entry {
  readonly sequence: number;
  readonly epoch: number;
  readonly transactionId: string;
  readonly mutationId: string | null;
  readonly recordId: string;
  readonly changeType: string;
  readonly version: number;
  readonly name: string | null;
}

/** What the database says, read in one transaction. */
export interface Evidence {
  readonly head: number;
  readonly entries: readonly Entry[];
  readonly rows: ReadonlyMap<string, { readonly version: number; readonly name: unknown }>;
}

export async function readEvidence(database: Database): Promise<Evidence> {
  const [heads = [], log = [], albums = []] = await database.read([
    { sql: "SELECT head FROM library", args: [] },
    {
      sql: `SELECT sequence, epoch, transaction_id, mutation_id, record_id, change_type, version, data->>'name'
        FROM sync_log ORDER BY sequence`,
      args: [],
    },
    { sql: "SELECT id, version, name FROM albums", args: [] },
  ]);
  return {
    head: (heads[0]?.[0] as number | undefined) ?? 0,
    entries: log.map((row) => ({
      sequence: row[0] as number,
      epoch: row[1] as number,
      transactionId: row[2] as string,
      mutationId: row[3] as string | null,
      recordId: row[4] as string,
      changeType: row[5] as string,
      version: row[6] as number,
      name: row[7] as string | null,
    })),
    rows: new Map(
      albums.map((row) => [row[0] as string, { version: row[1] as number, name: row[2] }]),
    ),
  };
}

function* checkLog({ head, entries }: Evidence): Generator<string> {
  for (const [index, { sequence, epoch }] of entries.entries()) {
    if (sequence !== index + 1) yield `I1: entry ${index + 1} has sequence ${sequence}`;
    const before = entries[index - 1];
    if (before !== undefined && before.epoch > epoch)
      yield `I3: ${sequence}@${epoch} stands after ${before.sequence}@${before.epoch}`;
  }
  if (head !== entries.length)
    yield `I1: the head is ${head}, the log has ${entries.length} entries`;
}

function* checkRows({ entries, rows }: Evidence): Generator<string> {
  const last = new Map(entries.map((entry) => [entry.recordId, entry]));
  for (const [id, { changeType, version, name, sequence }] of last) {
    const row = rows.get(id);
    if (changeType === "delete" ? row !== undefined : row?.version !== version || row.name !== name)
      yield `I2: record ${id} is ${JSON.stringify(row)}, its entry ${sequence} says ${changeType} ${version} ${name}`;
  }
  for (const id of rows.keys()) if (!last.has(id)) yield `I2: record ${id} has no entry`;
}

function* checkAttempts({ entries }: Evidence, attempts: readonly Attempt[]): Generator<string> {
  const byMutation = Map.groupBy(entries, (entry) => entry.mutationId);
  const outcomes = new Map(attempts.map(({ mutationId, outcome }) => [mutationId, outcome]));
  for (const { mutationId, outcome, behind } of attempts) {
    const own = byMutation.get(mutationId) ?? [];
    const before = behind === null ? undefined : byMutation.get(behind)?.[0];
    if (before !== undefined && own[0] !== undefined && before.sequence > own[0].sequence)
      yield `a line: mutation ${mutationId} took effect before ${behind}`;
    // An answer of null is that nobody knows: it may have had one that was lost.
    if (behind !== null && outcome !== null && outcomes.get(behind) === null)
      yield `a line: mutation ${mutationId} has its answer, ${behind} before it has none`;
    const transactions = new Set(own.map((entry) => entry.transactionId));
    if (transactions.size > 1)
      yield `I5: mutation ${mutationId} took effect ${transactions.size} times`;
    if (outcome === "refused" && own.length > 0)
      yield `I5: mutation ${mutationId} was refused and stands at ${own[0]?.sequence}`;
    if (outcome === null || outcome === "refused" || outcome.sequence === null) continue;
    const { sequence, last } = outcome;
    if (own[0]?.sequence !== sequence || own.at(-1)?.sequence !== last)
      yield `I4: mutation ${mutationId} was acknowledged at ${sequence} to ${last}, the log has ${own.map((entry) => entry.sequence).join()}`;
  }
}

/** Every sentence is a broken promise; none when all hold. */
export function findBroken(evidence: Evidence, attempts: readonly Attempt[]): string[] {
  return [...checkLog(evidence), ...checkRows(evidence), ...checkAttempts(evidence, attempts)];
}

/** What a subscriber that has caught up holds must be what the database holds (I6, I7). */
export function findDivergence(
  { head, rows }: Evidence,
  subscriber: {
    readonly cursor: number;
    readonly records: ReadonlyMap<string, { readonly version: number; readonly name: unknown }>;
  },
): string[] {
  const broken: string[] = [];
  if (subscriber.cursor !== head)
    broken.push(`I6: a subscriber stands at ${subscriber.cursor}, the head is ${head}`);
  const ids = new Set([...rows.keys(), ...subscriber.records.keys()]);
  for (const id of ids) {
    const [held, row] = [subscriber.records.get(id), rows.get(id)];
    if (held?.version !== row?.version || held?.name !== row?.name)
      broken.push(
        `I7: record ${id} is ${JSON.stringify(row)}, a subscriber holds ${JSON.stringify(held)}`,
      );
  }
  return broken;
}

/** A replica that has caught up holds the same log and the same rows. */
export function findUnequal(leader: Evidence, replica: Evidence): string[] {
  const broken: string[] = [];
  if (leader.head !== replica.head)
    broken.push(`it stands at ${replica.head}, the head is ${leader.head}`);
  const bySequence = new Map(leader.entries.map((entry) => [entry.sequence, entry]));
  for (const entry of replica.entries) {
    const own = bySequence.get(entry.sequence);
    if (own?.transactionId !== entry.transactionId || own.epoch !== entry.epoch)
      broken.push(`entry ${entry.sequence}@${entry.epoch} is not the leader's`);
  }
  for (const id of new Set([...leader.rows.keys(), ...replica.rows.keys()])) {
    const [row, copy] = [leader.rows.get(id), replica.rows.get(id)];
    if (row?.version !== copy?.version || row?.name !== copy?.name)
      broken.push(
        `record ${id} is ${JSON.stringify(row)}, the replica has ${JSON.stringify(copy)}`,
      );
  }
  return broken;
}
