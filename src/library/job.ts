import type { Clock } from "../base/clock.ts";
import { SyncError } from "../protocol/errors.ts";
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

/** Jobs on record: what they are, and what they need to go on after a restart. */
export interface Jobs<Work> {
  /** @throws not_found when it has ended already */
  save(job: Job, work: Work): Promise<void>;
  find(jobId: string): Promise<Job | null>;
  /** Ends a job that another node runs, or ran; that one learns of it when it saves. */
  cancel(jobId: string): Promise<void>;
  /** Those of a device. */
  running(deviceId: string): Promise<{ readonly job: Job; readonly work: Work }[]>;
}

export const CANCELLED = "Cancelled.";
const COLUMNS = "id, name, library_id, status, progress, message";

function toJob(row: readonly unknown[]): Job {
  const [id, name, libraryId, status, progress, message] = row;
  return { id, name, libraryId, status, progress, message } as Job;
}

export function createJobs<Work extends { readonly deviceId: string }>(options: {
  readonly database: Database;
  readonly clock: Clock;
  /** Tells listeners of the job's library. */
  readonly announce: (job: Job) => Promise<void>;
}): Jobs<Work> {
  const { database, clock } = options;
  return {
    save: async (job, work) => {
      const now = clock.now();
      const { id, name, libraryId, status, progress, message } = job;
      const [saved = []] = await database.write([
        {
          sql: `INSERT INTO jobs (${COLUMNS}, input, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET status = excluded.status, progress = excluded.progress,
            message = excluded.message, input = excluded.input, updated_at = excluded.updated_at
            WHERE status = 'running' RETURNING id`,
          args: [id, name, libraryId, status, progress, message, JSON.stringify(work), now, now],
        },
      ]);
      if (saved.length === 0) throw new SyncError("not_found", { what: `running job ${id}` });
      await options.announce(job);
    },
    cancel: async (jobId) => {
      const sql = `UPDATE jobs SET status = 'failed', message = '${CANCELLED}', input = '{}'
        WHERE id = ? AND status = 'running'`;
      await database.write([{ sql, args: [jobId] }]);
    },
    find: async (jobId) => {
      const sql = `SELECT ${COLUMNS} FROM jobs WHERE id = ?`;
      const [rows = []] = await database.read([{ sql, args: [jobId] }]);
      return rows[0] === undefined ? null : toJob(rows[0]);
    },
    running: async (deviceId) => {
      const sql = `SELECT ${COLUMNS}, input FROM jobs WHERE status = 'running'
        AND input->>'deviceId' = ?`;
      const [rows = []] = await database.read([{ sql, args: [deviceId] }]);
      return rows.map((row) => ({
        job: toJob(row),
        work: JSON.parse(row[6] as string) as Work,
      }));
    },
  };
}
