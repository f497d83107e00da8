import { backoffMs } from "../base/backoff.ts";
import { createId } from "../base/id.ts";
import { createBell } from "../follower/bell.ts";
import type { Bell } from "../follower/bell.ts";
import { SyncError } from "../protocol/errors.ts";
import { CANCELLED, createJobs } from "./job.ts";
import type { Job, Jobs } from "./job.ts";
import { newCopy } from "./joining.ts";
import { mayPass, planCopies, register, step } from "./setup-steps.ts";
import type { SetupOptions, SetupRequest, Work } from "./setup-steps.ts";

export interface SetupOutcome {
  /** Both sides know each other's device. */
  readonly isRegistered: boolean;
  /** Null when nothing is left to do. */
  readonly job: Job | null;
}

/** Joins this service with others: a request is tried at once, and what is left goes on as a job. */
export interface Setup {
  /** @throws invalid_body, forbidden, not_found */
  begin(request: SetupRequest): Promise<SetupOutcome>;
  find(jobId: string): Promise<Job | null>;
  /**
   * Ends a job, unless a library has already ended for it: then it completes. What was merged until
   * then stays. Resolves to what became of it.
   */
  cancel(job: Job): Promise<Job>;
  /** Goes on with what was running when the service ended. */
  resume(): Promise<void>;
  /** Resolves when nothing runs. */
  settled(): Promise<void>;
  /** Leaves off; `resume` goes on after the next start. */
  stop(): Promise<void>;
}

/** How long a service that never answers is waited for. */
const GIVE_UP_MS = 7 * 24 * 60 * 60 * 1_000;

interface Runner {
  readonly options: SetupOptions;
  readonly jobs: Jobs<Work>;
  readonly bell: Bell;
  readonly isStopping: () => boolean;
}

/** A job that runs here. */
interface Running {
  readonly ended: Promise<void>;
  readonly cancel: () => void;
}

const isComplete = ({ remoteId, doneCount, copies }: Work): boolean =>
  remoteId !== null && doneCount >= copies.length;

/** Takes one step after the other until none is left, none can be taken, or the service ends. */
async function runJob(
  { options, jobs, bell, isStopping }: Runner,
  { job, work: start }: { readonly job: Job; readonly work: Work },
  signal: AbortSignal,
): Promise<void> {
  const { clock, telemetry, random = Math.random } = options;
  let work = start;
  const save = async (next: Work, change: Partial<Job> = {}): Promise<void> => {
    // What is on record is where the next start goes on.
    if (isStopping()) throw new SyncError("overloaded", { retryAfterSeconds: 1 });
    work = next;
    const progress = work.state.mergedCount;
    const message = `${progress} records merged.`;
    await jobs.save({ ...job, progress, message, ...change }, work);
  };
  /** The other service's token has done its work, however the job ends. */
  const end = (change: Partial<Job>): Promise<void> =>
    save({ ...work, request: { ...work.request, remoteToken: "" } }, change);
  const saveWithin = (next: Work): Promise<void> => {
    if (signal.aborted) throw new SyncError("overloaded", { retryAfterSeconds: 1 });
    return save(next);
  };
  for (let attempts = 0; !isStopping();) {
    try {
      if (isComplete(work)) return await end({ status: "complete" });
      if (signal.aborted) return await end({ status: "failed", message: CANCELLED });
      await save(await step(options, work, saveWithin));
      attempts = 0;
    } catch (error) {
      if (isStopping()) return;
      if (signal.aborted) continue;
      const message = error instanceof Error ? error.message : String(error);
      const isFinal = !mayPass(error) || clock.now() > work.untilMs;
      const level = isFinal ? "error" : "info";
      telemetry.log(level, `A setup ${isFinal ? "failed" : "waits"}.`, { job: job.id, error });
      if (isFinal) return await end({ status: "failed", message });
      await save(work, { message }).catch(() => {});
      await bell.pause(backoffMs(attempts, random()));
      attempts += 1;
    }
  }
}

function openJobs({ catalog, clock }: SetupOptions): Jobs<Work> {
  return createJobs<Work>({
    database: catalog.database,
    clock,
    announce: async ({ id: job_id, libraryId, name, status, progress, message }) => {
      const library = await catalog.open(libraryId);
      library.announce("Job", { job_id, name, status, progress, message });
    },
  });
}

export function createSetup(options: SetupOptions): Setup {
  const { clock, lease, telemetry } = options;
  const running = new Map<string, Running>();
  const bell = createBell(clock);
  let isStopping = false;
  const jobs = openJobs(options);

  const runner = { options, jobs, bell, isStopping: () => isStopping };
  const start = (job: Job, work: Work): void => {
    const abort = new AbortController();
    const ended = runJob(runner, { job, work }, abort.signal)
      .catch((error: unknown) => telemetry.log("error", "A setup ended.", { job: job.id, error }))
      .finally(() => running.delete(job.id));
    running.set(job.id, { ended, cancel: () => abort.abort() });
  };
  const settled = async (): Promise<void> => {
    await Promise.all([...running.values()].map(({ ended }) => ended));
  };

  return {
    begin: async (request) => {
      const { action, localLibraryId: libraryId, leaderDeviceId } = request;
      const remoteId = await register(options, request);
      const isRegistered = remoteId !== null;
      if (isRegistered && action === "RegisterOnly") return { isRegistered, job: null };
      const sharedId = createId();
      const copies = planCopies(request, leaderDeviceId === lease.deviceId, sharedId);
      const untilMs = clock.now() + GIVE_UP_MS;
      const work: Work = {
        deviceId: lease.deviceId,
        request,
        remoteId,
        sharedId,
        copies,
        state: newCopy,
        doneCount: 0,
        untilMs,
      };
      const name = action === "RegisterOnly" ? "register" : "merge";
      const message = isRegistered ? "Begins." : `${request.remoteUrl} does not answer yet.`;
      const job: Job = { id: createId(), name, libraryId, status: "running", progress: 0, message };
      await jobs.save(job, work);
      start(job, work);
      return { isRegistered, job };
    },
    find: (jobId) => jobs.find(jobId),
    cancel: async (job) => {
      const one = running.get(job.id);
      one?.cancel();
      bell.ring();
      await (one?.ended ?? jobs.cancel(job.id));
      return (await jobs.find(job.id)) ?? job;
    },
    resume: async () => {
      for (const { job, work } of await jobs.running(lease.deviceId)) start(job, work);
    },
    settled,
    stop: async () => {
      isStopping = true;
      bell.ring();
      await settled();
    },
  };
}
