import type { Clock } from "../base/clock.ts";
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
  save(job: Job, work: Work): Promise<void>;
  find(jobId: string): Promise<Job | null>;
  running(): Promise<{ readonly job: Job; readonly work: Work }[]>;
}

const COLUMNS = "id, name, library_id, status, progress, message";

function toJob(row: readonly unknown[]): Job {
  const [id, name, libraryId, status, progress, message] = row;
  return { id, name, libraryId, status, progress, message } as Job;
}

export function createJobs<Work>(options: {
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
      await database.write([
        {
          sql: `INSERT INTO jobs (${COLUMNS}, input, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET status = excluded.status, progress = excluded.progress,
            message = excluded.message, input = excluded.input, updated_at = excluded.updated_at`,
          args: [id, name, libraryId, status, progress, message, JSON.stringify(work), now, now],
        },
      ]);
      await options.announce(job);
    },
    find: async (jobId) => {
      const sql = `SELECT ${COLUMNS} FROM jobs WHERE id = ?`;
      const [rows = []] = await database.read([{ sql, args: [jobId] }]);
      return rows[0] === undefined ? null : toJob(rows[0]);
    },
    running: async () => {
      const sql = `SELECT ${COLUMNS}, input FROM jobs WHERE status = 'running'`;
      const [rows = []] = await database.read([{ sql, args: [] }]);
      return rows.map((row) => ({
        job: toJob(row),
        work: JSON.parse(row[6] as string) as Work,
      }));
    },
  };
}
