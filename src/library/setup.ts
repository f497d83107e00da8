import { createId } from "../base/id.ts";
import { loadSlots } from "../commit/load.ts";
import { slotKey } from "../commit/plan.ts";
import { createUpstream } from "../follower/upstream.ts";
import type { Fetch, SnapshotLine } from "../follower/upstream.ts";
import type { CatalogOptions } from "./catalog.ts";
import type { Catalog } from "./catalog.ts";
import { mergeRecord } from "./merge.ts";
import type { Incoming } from "./merge.ts";

export interface MergeInput {
  readonly localLibraryId: string;
  readonly remoteLibraryId: string;
  readonly remoteUrl: string;
  readonly remoteToken: string;
}

/** Long work, as it is asked for. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly libraryId: string;
  readonly status: "running" | "complete" | "failed";
  readonly progress: number;
  readonly message: string;
}

/** Merges, which go on after a restart. */
export interface Setup {
  /** Takes the records of another service's library into ours. Resolves once it is on record. */
  merge(input: MergeInput): Promise<Job>;
  find(jobId: string): Promise<Job | null>;
  /** Goes on with what was running when the service ended. */
  resume(): Promise<void>;
  /** Resolves when nothing runs. */
  settled(): Promise<void>;
}

interface Work {
  readonly input: MergeInput;
  /** "type:id": the last record that was taken care of. */
  readonly afterKey: string | null;
  readonly mergedCount: number;
  readonly failedCount: number;
}

const CHUNK = 200;
const COLUMNS = "id, name, library_id, status, progress, message";

function toJob(row: readonly unknown[]): Job {
  const [id, name, libraryId, status, progress, message] = row;
  return { id, name, libraryId, status, progress, message } as Job;
}

export function createSetup(
  options: CatalogOptions & { readonly catalog: Catalog; readonly fetch?: Fetch | undefined },
): Setup {
  const { catalog, clock, registry, telemetry } = options;
  const fetcher: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const running = new Map<string, Promise<void>>();
  const { database } = catalog;

  const save = async (job: Job, work: Work): Promise<void> => {
    const now = clock.now();
    await database.write([
      {
        sql: `INSERT INTO jobs (${COLUMNS}, input, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (id) DO UPDATE SET status = excluded.status, progress = excluded.progress,
          message = excluded.message, input = excluded.input, updated_at = excluded.updated_at`,
        args: [
          job.id,
          job.name,
          job.libraryId,
          job.status,
          job.progress,
          job.message,
          JSON.stringify(work),
          now,
          now,
        ],
      },
    ]);
    const library = await catalog.open(job.libraryId);
    const { id: job_id, name, status, progress, message } = job;
    library.announce("Job", { job_id, name, status, progress, message });
  };

  /** Holds some records against ours and commits what differs, each under the device it came from. */
  const mergeChunk = async (libraryId: string, lines: readonly SnapshotLine[]) => {
    const { database: own, manager } = await catalog.open(libraryId);
    const wanted = lines.map((line) => ({
      resource: registry.resource(line.resource_type ?? ""),
      id: line.resource?.id ?? line.deleted ?? "",
    }));
    const { slots } = await loadSlots(own, wanted);
    const byDevice = new Map<string, NonNullable<ReturnType<typeof mergeRecord>>[]>();
    lines.forEach((line, index) => {
      const { resource, id } = wanted[index] ?? {};
      const slot = resource === undefined ? undefined : slots.get(slotKey(resource.type, id ?? ""));
      if (slot === undefined) return;
      const { id: _id, version = line.version ?? 0, ...fields } = line.resource ?? {};
      const incoming: Incoming = {
        id: slot.id,
        version,
        fields: line.resource === undefined ? null : fields,
        updatedAt: line.origin?.updated_at ?? 0,
      };
      const change = mergeRecord(slot, incoming);
      const device = line.origin?.device_id ?? "merge";
      if (change !== null) byDevice.set(device, [...(byDevice.get(device) ?? []), change]);
    });
    let failedCount = 0;
    for (const [deviceId, changes] of byDevice) {
      const author = { deviceId, isDevice: false };
      failedCount += (await manager.commitResilient(changes, { author })).failed.length;
    }
    const count = [...byDevice.values()].reduce((sum, changes) => sum + changes.length, 0);
    return { mergedCount: count - failedCount, failedCount };
  };

  const run = async (job: Job, start: Work): Promise<void> => {
    let work = start;
    let pending: SnapshotLine[] = [];
    const { localLibraryId, remoteLibraryId, remoteUrl, remoteToken } = start.input;
    const upstream = createUpstream({
      url: remoteUrl,
      libraryId: remoteLibraryId,
      token: remoteToken,
      fetch: fetcher,
    });
    const flush = async (): Promise<void> => {
      const last = pending.findLast((line) => line.resource !== undefined);
      const done = await mergeChunk(localLibraryId, pending);
      pending = [];
      work = {
        ...work,
        mergedCount: work.mergedCount + done.mergedCount,
        failedCount: work.failedCount + done.failedCount,
        afterKey:
          last === undefined
            ? work.afterKey
            : `${last.resource_type ?? ""}:${last.resource?.id ?? ""}`,
      };
      await save(
        { ...job, progress: work.mergedCount, message: `${work.mergedCount} records merged.` },
        work,
      );
    };
    for await (const line of upstream.snapshot(null, work.afterKey)) {
      if (line.resource_type !== undefined) pending.push(line);
      if (pending.length >= CHUNK || line.end !== undefined) await flush();
      if (line.end === undefined) continue;
      const { mergedCount: progress, failedCount } = work;
      const message = `${progress} records merged, ${failedCount} refused.`;
      // The other service's token has done its work.
      const done = { ...work, input: { ...work.input, remoteToken: "" } };
      await save({ ...job, status: "complete", progress, message }, done);
      return;
    }
    throw new Error("The other library's snapshot broke off.");
  };

  const start = (job: Job, work: Work): void => {
    const done = run(job, work)
      .catch(async (error: unknown) => {
        telemetry.log("error", "A merge failed.", { job: job.id, error });
        const message = error instanceof Error ? error.message : String(error);
        await database.write([
          {
            sql: "UPDATE jobs SET status = 'failed', message = ? WHERE id = ?",
            args: [message, job.id],
          },
        ]);
      })
      .finally(() => running.delete(job.id));
    running.set(job.id, done);
  };

  return {
    merge: async (input) => {
      const job: Job = {
        id: createId(),
        name: "merge",
        libraryId: input.localLibraryId,
        status: "running",
        progress: 0,
        message: "Merging.",
      };
      const work: Work = { input, afterKey: null, mergedCount: 0, failedCount: 0 };
      await save(job, work);
      start(job, work);
      return job;
    },
    find: async (jobId) => {
      const sql = `SELECT ${COLUMNS} FROM jobs WHERE id = ?`;
      const [rows = []] = await database.read([{ sql, args: [jobId] }]);
      return rows[0] === undefined ? null : toJob(rows[0]);
    },
    resume: async () => {
      const sql = `SELECT ${COLUMNS}, input FROM jobs WHERE status = 'running'`;
      const [rows = []] = await database.read([{ sql, args: [] }]);
      for (const row of rows) start(toJob(row), JSON.parse(row[6] as string) as Work);
    },
    settled: async () => void (await Promise.all(running.values())),
  };
}
