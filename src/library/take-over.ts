/**
 * Jobs of nodes that share the catalog: which of them goes on with one that another began.
 *
 * @module
 */
import { mayWrite } from "../lease/lease.ts";
import { isSyncError } from "../protocol/errors.ts";
import type { Job, Jobs, Kept, Recorded } from "./job.ts";
import type { Library } from "./library.ts";
import type { SetupOptions, Work } from "./setup-steps.ts";

/** After this a node that told nothing of its job is gone; one that waits tells of it every minute. */
const SILENT_MS = 3 * 60_000;
const GONE = "The node that was to be made known has gone.";

/** Opens the library that a job merges, as it is now; null when it is no more. */
async function openLocal({ catalog }: SetupOptions, job: Job): Promise<Library | null> {
  try {
    return await catalog.use(job.libraryId, async (library) => {
      const { state, leadership } = library;
      if (state.isReplica) return library;
      const leader = await leadership.lead(true);
      if (leader === null || state.leaderDeviceId !== null) return library;
      // Another node has ended it since it was opened here.
      await catalog.release(state.id);
      return catalog.open(job.libraryId);
    });
  } catch (error) {
    if (isSyncError(error, "not_found")) return null;
    throw error;
  }
}

/** Whether this node may go on with another's job. */
async function mayTakeOver(options: SetupOptions, kept: Recorded<Work>): Promise<boolean> {
  const { job, silentMs } = kept;
  const library = await openLocal(options, job);
  // Whoever leads the library has its merge: the node that had it cannot go on.
  if (library !== null && !library.state.isReplica) return mayWrite(library.state, options.clock);
  // Nobody leads it any more. Its node has only to say so, and does, unless it is gone.
  return silentMs > SILENT_MS;
}

async function claim(
  options: SetupOptions,
  jobs: Jobs<Work>,
  kept: Recorded<Work>,
): Promise<Kept<Work> | null> {
  const { clock, lease, telemetry } = options;
  const { job, work } = kept;
  const { deviceId: from, request } = work;
  const { deviceId } = lease;
  if (from === deviceId) return { job, work };
  // What only makes a node known elsewhere is that node's.
  if (request.action === "RegisterOnly") {
    if (clock.now() > work.untilMs) await jobs.cancel(job.id, GONE);
    return null;
  }
  if (!(await mayTakeOver(options, kept))) return null;
  const leaderDeviceId = request.leaderDeviceId === from ? deviceId : request.leaderDeviceId;
  const localUrl = lease.nodeUrl ?? request.localUrl;
  const asked = { ...request, leaderDeviceId, localUrl, deviceId: request.deviceId ?? from };
  const mine = { job, work: { ...work, deviceId, request: asked } };
  if (!(await jobs.adopt(mine, from))) return null;
  telemetry.log("info", "A setup goes on here.", { job: job.id, library_id: job.libraryId, from });
  return mine;
}

/** The job as this node's own: it was already, or the node that had it cannot go on; else null. */
export function takeOver(
  options: SetupOptions,
  jobs: Jobs<Work>,
  kept: Recorded<Work>,
): Promise<Kept<Work> | null> {
  return claim(options, jobs, kept).catch((error: unknown) => {
    const about = { job: kept.job.id, error };
    options.telemetry.log("error", "A setup could not be taken over.", about);
    return null;
  });
}
