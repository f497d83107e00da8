import type { Clock } from "../base/clock.ts";
import { lineMutations } from "../protocol/limits.ts";
import { SyncError, toProblem } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Database, Rows, Statement } from "../store/database.ts";
import { guardOf } from "../store/failure.ts";
import { readEntry, sendLine, unreadable } from "./line.ts";
import type { LineEntry } from "./line.ts";
import { whileFollowing } from "./progress.ts";
import { leaveUnread, problemOf, sendWrite, toDelay } from "./upstream.ts";
import type { Upstream } from "./upstream.ts";

/** A write that waits for the leader, as it will be sent. */
export interface QueuedWrite {
  /** What follows the library in the path: "commit", "batch", "actions/file.rename". */
  readonly path: string;
  readonly mutationId: string;
  /** Who wrote: sent as `X-Device-Id`. */
  readonly deviceId: string;
  /** The body, which carries the mutation id. */
  readonly request: Readonly<Record<string, unknown>>;
}

export interface OutboxEntry extends QueuedWrite {
  readonly createdAt: number;
  /** Why the leader refused it; null while it waits. */
  readonly problem: Problem | null;
}

/** The first of those that wait, and of those the leader refused; and how many there are of each. */
export interface Backlog {
  readonly waiting: readonly OutboxEntry[];
  readonly waitingCount: number;
  readonly rejected: readonly OutboxEntry[];
  readonly rejectedCount: number;
}

/**
 * Writes of a follower whose leader cannot be reached, in order. A refused one blocks nobody. One that the
 * leader took is kept until the replica's own log has it: promoted before that, it is committed here.
 */
export interface Outbox {
  /**
   * Resolves once the writes are durable here, all or none. The same mutation id is kept once; answers for
   * each why it does not wait: refused before, or its id waits with other content. @throws overloaded
   */
  add(writes: readonly QueuedWrite[]): Promise<(Problem | null)[]>;
  /** Sends what waits in lines, oldest first. Resolves to how many the leader took. @throws when it is out of reach */
  drain(): Promise<number>;
  list(): Promise<Backlog>;
}

const QUEUE_MAX = 100_000;
/** About how many bytes go at once. */
const LINE_BYTES = 1_000_000;
/** A write that fails this often for no reason the leader can name is set aside. */
const FAILURES_MAX = 5;
/** A drain is asked for by each write as well: failures closer together count as one. */
const FAILURE_MS = 1_000;
const COLUMNS = "path, mutation_id, device_id, request, created_at, problem";

function toEntry(row: readonly unknown[]): OutboxEntry {
  return {
    path: row[0] as string,
    mutationId: row[1] as string,
    deviceId: row[2] as string,
    request: JSON.parse(row[3] as string) as Record<string, unknown>,
    createdAt: row[4] as number,
    problem: row[5] === null ? null : (JSON.parse(row[5] as string) as Problem),
  };
}

const IS_WAITING = "problem IS NULL AND sequence IS NULL";
const WAITING = `SELECT ${COLUMNS} FROM outbox WHERE ${IS_WAITING} ORDER BY id LIMIT 1000`;
const REJECTED = WAITING.replace(IS_WAITING, "problem IS NOT NULL");
const COUNTS = `SELECT (SELECT count(*) FROM outbox WHERE ${IS_WAITING}),
  (SELECT count(*) FROM outbox WHERE problem IS NOT NULL)`;

/** What waits in a library, and what was refused: after a promotion too. */
export async function readBacklog(database: Database): Promise<Backlog> {
  const asked = [WAITING, REJECTED, COUNTS].map((sql) => ({ sql, args: [] }));
  const [waiting = [], rejected = [], [counts = []] = []] = await database.read(asked);
  const [waitingCount, rejectedCount] = counts as [number, number];
  return {
    waiting: waiting.map(toEntry),
    waitingCount,
    rejected: rejected.map(toEntry),
    rejectedCount,
  };
}

/** The first that wait and fit a line; one at least, however large. */
const FIRST = `SELECT ${COLUMNS} FROM (
  SELECT *, sum(length(request)) OVER (ORDER BY id) AS sent FROM (
    SELECT * FROM outbox WHERE ${IS_WAITING} ORDER BY id LIMIT ${lineMutations}))
  WHERE sent <= ${LINE_BYTES} OR sent = length(request) ORDER BY id`;
/** What was set aside, but not refused, waits again when it is sent again. */
const ADD = `INSERT INTO outbox (path, mutation_id, device_id, request, created_at) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (mutation_id) DO UPDATE SET problem = NULL WHERE problem->>'retry' <> 'never'`;
const FIND = `SELECT ${COLUMNS} FROM outbox WHERE mutation_id IN (SELECT value FROM json_each(?))`;
const REMOVE = "DELETE FROM outbox WHERE mutation_id IN (SELECT value FROM json_each(?))";
const TAKE = `UPDATE outbox SET sequence = told.value->>'$.sequence', problem = NULL
  FROM json_each(?) AS told WHERE mutation_id = told.value->>'$.id'`;
const IS_PULLED = "sequence <= (SELECT head FROM library)";
const FORGET: Statement = { sql: `DELETE FROM outbox WHERE ${IS_PULLED}`, args: [] };
/** What was taken, and has not come back, waits again: for who is promoted before it has. */
export const reclaim: readonly Statement[] = [
  FORGET,
  { sql: "UPDATE outbox SET sequence = NULL WHERE sequence IS NOT NULL", args: [] },
];
const REFUSE = `UPDATE outbox SET problem = told.value->'$.problem' FROM json_each(?) AS told
  WHERE mutation_id = told.value->>'$.id'`;

/** From then on what waits is committed here: the old leader neither gets it nor says what became of it. */
function promoted(): SyncError {
  const detail = "This library has just been promoted: it leads, and no longer passes writes on.";
  return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

/** @throws overloaded when the library follows nobody any more: then nothing is written */
async function writeWhileFollowing(
  database: Database,
  statements: readonly Statement[],
): Promise<Rows[]> {
  const results = await database.write([whileFollowing, ...statements]).catch((error: unknown) => {
    throw guardOf(error) === "follow" ? promoted() : error;
  });
  return results.slice(1);
}

/** The first that wait in a library, as many as go into a line. */
export async function readWaiting(database: Database): Promise<OutboxEntry[]> {
  const [rows = []] = await database.read([{ sql: FIRST, args: [] }]);
  return rows.map(toEntry);
}

/** The same while the library follows; and whether any that was taken has been pulled. @throws overloaded */
async function readToSend(database: Database) {
  const [rows = [], following = [], pulled = []] = await database.read([
    { sql: FIRST, args: [] },
    { sql: "SELECT 1 FROM follower", args: [] },
    { sql: `SELECT 1 FROM outbox WHERE ${IS_PULLED} LIMIT 1`, args: [] },
  ]);
  if (following.length === 0) throw promoted();
  return { waiting: rows.map(toEntry), isAnyPulled: pulled.length > 0 };
}

/** A waiting write as one of a line. */
function toMutation({ path, mutationId, request }: QueuedWrite): object {
  const { mutation_id: _id, ...body } = request;
  if (path === "commit") return { mutation_id: mutationId, commit: body };
  if (path === "batch") return { mutation_id: mutationId, batch: body };
  return { mutation_id: mutationId, action: path.slice("actions/".length), input: body["input"] };
}

/** Sends one write by its own route. Answers what the leader said, or why it never takes it. @throws when it is to wait */
async function sendOne(upstream: Upstream, entry: OutboxEntry): Promise<LineEntry> {
  const [kind = "", ...names] = entry.path.split("/");
  const name = names.length === 0 ? "" : `/${encodeURIComponent(names.join("/"))}`;
  const response = await sendWrite(upstream, `/${kind}${name}`, {
    deviceId: entry.deviceId,
    body: entry.request,
  });
  if (response.ok) return readEntry(response);
  const problem = await problemOf(response);
  await leaveUnread(response);
  const error = toDelay(response.status, problem);
  if (error === null) return { problem: problem as Problem };
  throw error;
}

/** Counts how often the write that is first has failed with `internal`. */
function createPatience(clock: Clock) {
  let last = { id: "", count: 0, at: 0 };
  return {
    isOver: ({ mutationId: id }: OutboxEntry, { code }: SyncError): boolean => {
      const now = clock.monotonic();
      if (code !== "internal") return false;
      if (last.id !== id) last = { id, count: 1, at: now };
      else if (now - last.at >= FAILURE_MS) last = { id, count: last.count + 1, at: now };
      return last.count >= FAILURES_MAX;
    },
  };
}

/** Sends the first that wait until one of them has an end. */
function createSender(upstream: Upstream, clock: Clock) {
  const patience = createPatience(clock);
  const waits = (error: SyncError): SyncError => {
    const detail = `${error.message} The write goes on waiting.`;
    return new SyncError("overloaded", { retryAfterSeconds: 1 }, { cause: error, detail });
  };
  const alone = async (first: OutboxEntry): Promise<LineEntry[]> => {
    try {
      return [await sendOne(upstream, first)];
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      if (!patience.isOver(first, error)) throw waits(error);
      return [{ problem: toProblem(error) }];
    }
  };
  return async (
    first: OutboxEntry,
    waiting: readonly OutboxEntry[],
  ): Promise<readonly LineEntry[]> => {
    const { deviceId } = first;
    const end = waiting.findIndex((entry) => entry.deviceId !== deviceId);
    const line = end < 0 ? waiting : waiting.slice(0, end);
    if (line.length === 1) return alone(first);
    const sent = await sendLine(upstream, { deviceId, mutations: line.map(toMutation) });
    // Nobody knows which of them is at fault.
    if (sent instanceof Response) {
      await leaveUnread(sent);
      return alone(first);
    }
    if (sent.answers.length > 0) return sent.answers.slice(0, line.length);
    const error = sent.error ?? unreadable();
    if (patience.isOver(first, error)) return alone(first);
    throw waits(error);
  };
}

/**
 * Forgets what changed nothing or stands here, keeps what was taken until it does, and what was refused
 * with the reason.
 */
export function settled(
  entries: readonly OutboxEntry[],
  answers: readonly LineEntry[],
): Statement[] {
  const done: string[] = [];
  const taken: object[] = [];
  const refused: object[] = [];
  for (const [at, { problem, ...answer }] of answers.entries()) {
    const id = entries[at]?.mutationId ?? "";
    const sequence = answer.sequence ?? answer.last_sequence;
    if (problem !== undefined) refused.push({ id, problem });
    else if (Number.isSafeInteger(sequence)) taken.push({ id, sequence });
    else done.push(id);
  }
  return [
    { sql: REMOVE, args: [JSON.stringify(done)] },
    { sql: TAKE, args: [JSON.stringify(taken)] },
    { sql: REFUSE, args: [JSON.stringify(refused)] },
    FORGET,
  ];
}

/** Forgets a refused write. Resolves to whether there was one. */
export async function dismiss(database: Database, mutationId: string): Promise<boolean> {
  const sql = "DELETE FROM outbox WHERE mutation_id = ? AND problem IS NOT NULL RETURNING id";
  const [rows = []] = await database.write([{ sql, args: [mutationId] }]);
  return rows.length > 0;
}

async function add(
  database: Database,
  writes: readonly QueuedWrite[],
  now: number,
): Promise<(Problem | null)[]> {
  const [[full] = []] = await database.read([{ sql: "SELECT count(*) FROM outbox", args: [] }]);
  if ((full?.[0] as number) + writes.length > QUEUE_MAX) {
    const detail = `${QUEUE_MAX} writes wait for the leader already.`;
    throw new SyncError("overloaded", { retryAfterSeconds: 60 }, { detail });
  }
  const requests = writes.map(({ request }) => JSON.stringify(request));
  const results = await writeWhileFollowing(database, [
    ...writes.map(({ path, mutationId, deviceId }, at) => ({
      sql: ADD,
      args: [path, mutationId, deviceId, requests[at] ?? "", now],
    })),
    { sql: FIND, args: [JSON.stringify(writes.map(({ mutationId }) => mutationId))] },
  ]);
  const found = results.at(-1)?.map(toEntry) ?? [];
  const kept = new Map(found.map((one) => [one.mutationId, one]));
  return writes.map(({ path, mutationId }, at) => {
    const one = kept.get(mutationId);
    const isSame = one?.path === path && JSON.stringify(one.request) === requests[at];
    return isSame ? one.problem : toProblem(new SyncError("mutation_reused", { mutationId }));
  });
}

export function createOutbox(options: {
  readonly database: () => Promise<Database>;
  readonly upstream: Upstream;
  readonly clock: Clock;
}): Outbox {
  const { clock } = options;
  const send = createSender(options.upstream, clock);
  let draining: Promise<number> | null = null;
  const drain = async (): Promise<number> => {
    let count = 0;
    for (;;) {
      const { waiting, isAnyPulled } = await readToSend(await options.database());
      const [first] = waiting;
      if (first === undefined) {
        if (isAnyPulled) await writeWhileFollowing(await options.database(), [FORGET]);
        return count;
      }
      const answers = await send(first, waiting);
      await writeWhileFollowing(await options.database(), settled(waiting, answers));
      count += answers.filter(({ problem }) => problem === undefined).length;
    }
  };
  return {
    add: async (writes) => add(await options.database(), writes, clock.now()),
    drain: () => {
      draining ??= drain().finally(() => {
        draining = null;
      });
      return draining;
    },
    list: async () => readBacklog(await options.database()),
  };
}
