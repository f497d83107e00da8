import { backoffMs } from "../base/backoff.ts";
import { createId } from "../base/id.ts";
import { reasonOf } from "../base/reason.ts";
import { createBell } from "../follower/bell.ts";
import type { Bell } from "../follower/bell.ts";
import { SyncError } from "../protocol/errors.ts";
import { CANCELLED, createJobs } from "./job.ts";
import type { Job, Jobs, Kept } from "./job.ts";
import { newCopy } from "./joining.ts";
import { mayPass, planCopies, register, step } from "./setup-steps.ts";
import type { SetupOptions, SetupRequest, Work } from "./setup-steps.ts";
import { takeOver } from "./take-over.ts";

interface SetupOutcome {
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
   * Ends a job, unless a library has ended for it or may have: then it goes on, and completes. What
   * was merged until then stays. Resolves to what became of it.
   */
  cancel(job: Job): Promise<Job>;
  /** Goes on with what was running when the service ended, and with what others began in libraries that are led here now. */
  resume(): Promise<void>;
  /** Resolves when nothing runs. */
  settled(): Promise<void>;
  /** Leaves off; `resume` goes on after the next start. */
  stop(): Promise<void>;
}

/** How often a node looks for jobs of libraries that it has come to lead. */
const LOOK_EVERY_MS = 5_000;
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
  /** Calls it off. Resolves when it has ended, or cannot be told for now whether it is too late. */
  readonly cancel: () => Promise<void>;
}

const IN_DOUBT = "A library is being handed over, so that it is too late to cancel:";

const isComplete = ({ remoteId, doneCount, copies }: Work): boolean =>
  remoteId !== null && doneCount >= copies.length;

/** Takes one step after the other until none is left, none can be taken, or the service ends. */
async function runJob(
  { options, jobs, bell, isStopping }: Runner,
  { job, work: start }: Kept<Work>,
  { signal, onDoubt }: { readonly signal: AbortSignal; readonly onDoubt: () => void },
): Promise<void> {
  const { clock, telemetry, random = Math.random } = options;
  let work = start;
  let isOurs = true;
  const save = async (next: Work, change: Partial<Job> = {}): Promise<void> => {
    // What is on record is where the next start goes on.
    if (isStopping()) throw new SyncError("overloaded", { retryAfterSeconds: 1 });
    work = next;
    const progress = work.state.mergedCount;
    const message = `${progress} records merged.`;
    isOurs = await jobs.save({ ...job, progress, message, ...change }, work);
    if (!isOurs) throw new SyncError("not_found", { what: `running job ${job.id}` });
  };
  /** Called off in time: no library has ended, and none is being handed over. */
  const isCancelled = (): boolean => signal.aborted && !work.isEnding;
  /** The other service's token has done its work, however the job ends. */
  const end = (change: Partial<Job>): Promise<void> =>
    save({ ...work, request: { ...work.request, remoteToken: "" } }, change);
  const saveWithin = async (next: Work): Promise<void> => {
    if (!isCancelled()) await save(next);
    if (isCancelled()) throw new SyncError("overloaded", { retryAfterSeconds: 1 });
  };
  for (let attempts = 0; !isStopping();) {
    if (isComplete(work)) return end({ status: "complete" });
    if (isCancelled()) return end({ status: "failed", message: CANCELLED });
    try {
      await save(await step(options, work, saveWithin));
      attempts = 0;
    } catch (error) {
      if (isStopping() || !isOurs) return;
      if (isCancelled()) continue;
      const reason = reasonOf(error);
      const isFinal = !mayPass(error) || clock.now() > work.untilMs;
      const message = work.isEnding && !isFinal ? `${IN_DOUBT} ${reason}` : reason;
      const level = isFinal ? "error" : "info";
      telemetry.log(level, `A setup ${isFinal ? "failed" : "waits"}.`, { job: job.id, error });
      if (isFinal) return await end({ status: "failed", message });
      await save(work, { message }).catch(() => {});
      if (!isOurs) return;
      onDoubt();
      await bell.pause(backoffMs(attempts, random()));
      attempts += 1;
    }
  }
}

function launch(runner: Runner, kept: Kept<Work>): Running {
  const { bell, options } = runner;
  const abort = new AbortController();
  let doubt = Promise.withResolvers<void>();
  const onDoubt = (): void => {
    doubt.resolve();
    doubt = Promise.withResolvers();
  };
  const ended = runJob(runner, kept, { signal: abort.signal, onDoubt }).catch((error: unknown) =>
    options.telemetry.log("error", "A setup ended.", { job: kept.job.id, error }),
  );
  const cancel = async (): Promise<void> => {
    abort.abort();
    bell.ring();
    await Promise.race([ended, doubt.promise]);
  };
  return { ended, cancel };
}

function openJobs({ catalog }: SetupOptions): Jobs<Work> {
  return createJobs<Work>({
    database: catalog.database,
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
  const start = (kept: Kept<Work>): void => {
    const { id } = kept.job;
    // A job that has just begun may be found on record too.
    if (running.has(id)) return;
    const one = launch(runner, kept);
    running.set(id, one);
    void one.ended.then(() => running.delete(id));
  };
  const look = async (): Promise<void> => {
    for (const kept of await jobs.running()) {
      if (running.has(kept.job.id) || isStopping) continue;
      const mine = await takeOver(options, jobs, kept);
      if (mine !== null) start(mine);
    }
  };
  const stopLooking = clock.every(LOOK_EVERY_MS, () => {
    look().catch((error: unknown) => telemetry.log("error", "Jobs could not be read.", { error }));
  });
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
        isEnding: false,
        untilMs,
      };
      const name = action === "RegisterOnly" ? "register" : "merge";
      const message = isRegistered ? "Begins." : `${request.remoteUrl} does not answer yet.`;
      const job: Job = { id: createId(), name, libraryId, status: "running", progress: 0, message };
      await jobs.save(job, work);
      start({ job, work });
      return { isRegistered, job };
    },
    find: (jobId) => jobs.find(jobId),
    cancel: async (job) => {
      await (running.get(job.id)?.cancel() ?? jobs.cancel(job.id));
      return (await jobs.find(job.id)) ?? job;
    },
    resume: look,
    settled,
    stop: async () => {
      isStopping = true;
      stopLooking();
      bell.ring();
      await settled();
    },
  };
}
