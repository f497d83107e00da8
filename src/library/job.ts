import { NOW_MS } from "../lease/lease.ts";
import type { Database } from "../store/database.ts";

/** Long work, as it is asked for. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly libraryId: string;
  readonly status: "running" | "complete" | "failed";
  readonly progress: number;
  readonly message: string;
}

/** What every job keeps on record beside its own work. */
export interface Owned {
  /** The node that does it: several may share the catalog. */
  readonly deviceId: string;
  /** What it has begun may be done already, so that it can no longer be called off. */
  readonly isEnding: boolean;
}

/** A job, and what it needs to go on elsewhere or after a restart. */
export interface Kept<Work> {
  readonly job: Job;
  readonly work: Work;
}

/** A job as it stands on record. */
export interface Recorded<Work> extends Kept<Work> {
  /** For how long its node has told nothing of it. */
  readonly silentMs: number;
}

/** Jobs on record. */
export interface Jobs<Work> {
  /** Resolves to false when it is no longer this node's: it has ended, or another goes on with it. */
  save(job: Job, work: Work): Promise<boolean>;
  find(jobId: string): Promise<Job | null>;
  /** Ends a job that another node does, unless it is ending; that one learns of it when it saves. */
  cancel(jobId: string, why?: string): Promise<void>;
  /** Takes a job over from the node that did it. Resolves to false when it did not wait for that. */
  adopt(kept: Kept<Work>, from: string): Promise<boolean>;
  /** Those of all nodes. */
  running(): Promise<Recorded<Work>[]>;
}

export const CANCELLED = "Cancelled.";
const COLUMNS = "id, name, library_id, status, progress, message";

function toJob(row: readonly unknown[]): Job {
  const [id, name, libraryId, status, progress, message] = row;
  return { id, name, libraryId, status, progress, message } as Job;
}

export function createJobs<Work extends Owned>(options: {
  readonly database: Database;
  /** Tells listeners of the job's library. */
  readonly announce: (job: Job) => Promise<void>;
}): Jobs<Work> {
  const { database } = options;
  return {
    save: async (job, work) => {
      const { id, name, libraryId, status, progress, message } = job;
      const [saved = []] = await database.write([
        {
          sql: `INSERT INTO jobs (${COLUMNS}, input, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ${NOW_MS}, ${NOW_MS})
            ON CONFLICT (id) DO UPDATE SET status = excluded.status, progress = excluded.progress,
            message = excluded.message, input = excluded.input, updated_at = excluded.updated_at
            WHERE status = 'running' AND input->>'deviceId' = excluded.input->>'deviceId' RETURNING id`,
          args: [id, name, libraryId, status, progress, message, JSON.stringify(work)],
        },
      ]);
      if (saved.length > 0) await options.announce(job);
      return saved.length > 0;
    },
    cancel: async (jobId, why = CANCELLED) => {
      const sql = `UPDATE jobs SET status = 'failed', message = ?, input = '{}'
        WHERE id = ? AND status = 'running' AND NOT coalesce(input->>'isEnding', 0)`;
      await database.write([{ sql, args: [why, jobId] }]);
    },
    adopt: async ({ job, work }, from) => {
      const sql = `UPDATE jobs SET input = ?, updated_at = ${NOW_MS} WHERE id = ? AND status = 'running'
        AND input->>'deviceId' = ? RETURNING id`;
      const args = [JSON.stringify(work), job.id, from];
      const [taken = []] = await database.write([{ sql, args }]);
      return taken.length > 0;
    },
    find: async (jobId) => {
      const sql = `SELECT ${COLUMNS} FROM jobs WHERE id = ?`;
      const [rows = []] = await database.read([{ sql, args: [jobId] }]);
      return rows[0] === undefined ? null : toJob(rows[0]);
    },
    running: async () => {
      const sql = `SELECT ${COLUMNS}, input, ${NOW_MS} - updated_at FROM jobs WHERE status = 'running'`;
      const [rows = []] = await database.read([{ sql, args: [] }]);
      return rows.map((row) => ({
        job: toJob(row),
        work: JSON.parse(row[6] as string) as Work,
        silentMs: row[7] as number,
      }));
    },
  };
}
