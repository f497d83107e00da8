import type { Clock } from "../base/clock.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Database } from "../store/database.ts";
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

/** Writes of a follower whose leader cannot be reached, in order. A refused one blocks nobody. */
export interface Outbox {
  /** Resolves once the write is durable here. The same mutation id is kept once. @throws overloaded */
  add(write: QueuedWrite): Promise<void>;
  /** Sends what waits, oldest first. Resolves to how many the leader took. @throws when it is out of reach */
  drain(): Promise<number>;
  list(): Promise<OutboxEntry[]>;
  /** Those that wait, oldest first; a page of them. */
  waiting(): Promise<OutboxEntry[]>;
  /** Forgets a refused write. */
  dismiss(mutationId: string): Promise<boolean>;
}

const QUEUE_MAX = 100_000;
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

/** Sends one write. Answers null when the leader took it, else why never. @throws when it is to wait */
async function deliver(upstream: Upstream, entry: OutboxEntry): Promise<Partial<Problem> | null> {
  const response = await upstream.send(`/${entry.path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-device-id": entry.deviceId },
    body: JSON.stringify(entry.request),
  });
  if (response.ok) return null;
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  if (problem.retry === "never" && response.status !== 401) return problem;
  const detail = `The leader answers ${response.status}; the write goes on waiting.`;
  throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

export function createOutbox(options: {
  readonly database: () => Promise<Database>;
  readonly upstream: Upstream;
  readonly clock: Clock;
}): Outbox {
  const { upstream, clock } = options;
  let draining: Promise<number> | null = null;
  const write = async (sql: string, args: (string | number | null)[]) =>
    (await options.database()).write([{ sql, args }]);
  const read = async (where: string): Promise<OutboxEntry[]> => {
    const sql = `SELECT ${COLUMNS} FROM outbox WHERE ${where}`;
    const [rows = []] = await (await options.database()).read([{ sql, args: [] }]);
    return rows.map(toEntry);
  };
  const remove = async (mutationId: string): Promise<void> => {
    await write("DELETE FROM outbox WHERE mutation_id = ?", [mutationId]);
  };
  const sendOne = async (entry: OutboxEntry): Promise<boolean> => {
    const problem = await deliver(upstream, entry);
    if (problem === null) await remove(entry.mutationId);
    else
      await write("UPDATE outbox SET problem = ? WHERE mutation_id = ?", [
        JSON.stringify(problem),
        entry.mutationId,
      ]);
    return problem === null;
  };
  const drain = async (): Promise<number> => {
    let count = 0;
    for (;;) {
      const [entry] = await read("problem IS NULL ORDER BY id LIMIT 1");
      if (entry === undefined) return count;
      if (await sendOne(entry)) count += 1;
    }
  };
  return {
    add: async ({ path, mutationId, deviceId, request }) => {
      const [[full] = []] = await (
        await options.database()
      ).read([{ sql: "SELECT count(*) FROM outbox", args: [] }]);
      if ((full?.[0] as number) >= QUEUE_MAX) {
        const detail = `${QUEUE_MAX} writes wait for the leader already.`;
        throw new SyncError("overloaded", { retryAfterSeconds: 60 }, { detail });
      }
      await write(
        `INSERT OR IGNORE INTO outbox (path, mutation_id, device_id, request, created_at)
          VALUES (?, ?, ?, ?, ?)`,
        [path, mutationId, deviceId, JSON.stringify(request), clock.now()],
      );
    },
    drain: () => {
      draining ??= drain().finally(() => {
        draining = null;
      });
      return draining;
    },
    list: () => read("true ORDER BY id LIMIT 1000"),
    waiting: () => read("problem IS NULL ORDER BY id LIMIT 1000"),
    dismiss: async (mutationId) => {
      const sql = "DELETE FROM outbox WHERE mutation_id = ? AND problem IS NOT NULL RETURNING id";
      const [rows = []] = await write(sql, [mutationId]);
      return rows.length > 0;
    },
  };
}
