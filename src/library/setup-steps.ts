import type { Clock } from "../base/clock.ts";
import { createUpstream } from "../follower/upstream.ts";
import type { Fetch } from "../follower/upstream.ts";
import { SyncError, errorTable, isSyncError } from "../protocol/errors.ts";
import { registerDevice } from "./device.ts";
import { discoverRemote } from "./discovery.ts";
import { FOLLOWS } from "./hand-over.ts";
import type { HandOver } from "./hand-over.ts";
import type { Owned } from "./job.ts";
import { newCopy, runCopy } from "./joining.ts";
import type { Copy, CopyState } from "./joining.ts";
import { createRemoteSide } from "./remote-side.ts";
import { createLocalSide } from "./side.ts";
import type { SideOptions } from "./side.ts";

type SetupAction = "RegisterOnly" | "MergeIntoLocal" | "MergeIntoRemote" | "CreateShared";

export interface SetupRequest {
  readonly action: SetupAction;
  /** What a shared library is called. */
  readonly name: string | null;
  readonly localLibraryId: string;
  readonly remoteLibraryId: string;
  readonly remoteUrl: string;
  readonly remoteToken: string;
  /** Whose that token is; the node's that does the job when left out. */
  readonly deviceId?: string | undefined;
  /** How the other service reaches this one. */
  readonly localUrl: string;
  readonly leaderDeviceId: string;
}

export interface SetupOptions extends SideOptions {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly lease: { readonly deviceId: string; readonly nodeUrl: string | null };
  /** A token for a service that is to follow a library here; null when another issuer makes them. */
  readonly invite: ((deviceId: string, libraryId: string) => Promise<string>) | null;
  /** From 0 to 1, for the jitter of waits; `Math.random` when left out. */
  readonly random?: (() => number) | undefined;
}

/** A request on its way: enough to go on after a restart. */
export interface Work extends Owned {
  readonly request: SetupRequest;
  /** The other service's device, once both sides know each other. */
  readonly remoteId: string | null;
  readonly sharedId: string;
  readonly copies: readonly Copy[];
  readonly state: CopyState;
  readonly doneCount: number;
  /** After this a service that never answers is given up. */
  readonly untilMs: number;
}

function invalid(path: string, message: string): SyncError {
  return new SyncError("invalid_body", { issues: [{ path, message }] }, { detail: message });
}

/** Which libraries end, and in which one each goes on. */
export function planCopies(request: SetupRequest, isLocalLeader: boolean, shared: string): Copy[] {
  const { action, localLibraryId, remoteLibraryId } = request;
  const local = { from: "local", source: localLibraryId } as const;
  const remote = { from: "remote", source: remoteLibraryId } as const;
  if (action === "MergeIntoLocal") return [{ ...remote, to: "local", target: localLibraryId }];
  if (action === "MergeIntoRemote") return [{ ...local, to: "remote", target: remoteLibraryId }];
  if (action === "RegisterOnly") return [];
  const to = isLocalLeader ? "local" : "remote";
  return [local, remote].map((one) => ({ ...one, to, target: shared }));
}

/** @throws invalid_body: a merge into one side is a merge that this side leads (SETUP-06, SETUP-09) */
function assertLeader(request: SetupRequest, localId: string, remoteId: string | null): void {
  const { action, leaderDeviceId: leader } = request;
  const path = "leader_device_id";
  if (remoteId !== null && leader !== localId && leader !== remoteId) {
    throw invalid(path, "Leader device must be either local or remote device");
  }
  const isLocal = leader === localId;
  if (action === "MergeIntoLocal" && !isLocal) {
    throw invalid(path, "MergeIntoLocal keeps the local library, which the local device leads.");
  }
  if (action === "MergeIntoRemote" && isLocal) {
    throw invalid(path, "MergeIntoRemote keeps the remote library, which the remote device leads.");
  }
}

/** Whether waiting may help: the other side, or our database, is out of reach for now. */
export function mayPass(error: unknown): boolean {
  if (!isSyncError(error)) return !(error instanceof SyntaxError);
  return errorTable[error.code].retry === "later" || error.code === "not_leader";
}

/** Makes both sides know each other's device. Resolves to the other's; null while it is out of reach. */
export async function register(
  options: SetupOptions,
  request: SetupRequest,
): Promise<string | null> {
  const { catalog, clock, fetch, lease, limits } = options;
  const { remoteUrl: url, remoteToken: token, remoteLibraryId: libraryId } = request;
  const remote = await discoverRemote(fetch, { url, token, libraryId });
  if (remote?.deviceId === lease.deviceId) {
    throw invalid("remote_url", `${url} is this service itself, not another one.`);
  }
  assertLeader(request, lease.deviceId, remote?.deviceId ?? null);
  if (remote === null) return null;
  const { deviceId: id, deviceName: name } = remote;
  const bounds = { now: clock.now(), devicesMax: limits.devicesPerLibrary };
  await catalog.use(request.localLibraryId, async ({ database, roll }) => {
    await registerDevice(database, { id, name }, bounds);
    roll.changed();
  });
  const own = { id: lease.deviceId, name: lease.nodeUrl ?? lease.deviceId };
  const upstream = createUpstream({ url, libraryId, token, fetch, clock });
  return upstream.register(own).then(
    () => id,
    (error: unknown) => {
      if (mayPass(error)) return null;
      throw error;
    },
  );
}

/** The two are one library already: one history under one leader. Copies that went apart have two. */
async function isJoined(
  { catalog, fetch, clock }: SetupOptions,
  request: SetupRequest,
): Promise<boolean> {
  const { remoteUrl: url, remoteToken: token, remoteLibraryId, localLibraryId } = request;
  const upstream = createUpstream({ url, libraryId: remoteLibraryId, token, fetch, clock });
  const theirs = await upstream.describe();
  const { state } = await catalog.open(localLibraryId);
  if (theirs.historyId === state.historyId && theirs.leaderDeviceId === state.leaderDeviceId) {
    return true;
  }
  if (state.isReplica) throw invalid("local_library_id", FOLLOWS);
  return false;
}

/** Does the next step that is left. Resolves to the work after it. */
export async function step(
  options: SetupOptions,
  work: Work,
  save: (work: Work) => Promise<void>,
): Promise<Work> {
  const { request, sharedId, copies, doneCount } = work;
  const { deviceId } = options.lease;
  const isLocalLeader = request.leaderDeviceId === deviceId;
  if (work.remoteId === null) {
    const remoteId = await register(options, request);
    if (remoteId !== null) return { ...work, remoteId };
    const detail = `${request.remoteUrl} does not answer; it is tried again.`;
    throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  }
  const remote = { url: request.remoteUrl, token: request.remoteToken };
  const sides = {
    local: createLocalSide(options),
    remote: createRemoteSide(options, remote),
  };
  const isNew = work.state.historyId === "" && doneCount === 0;
  if (isNew && (await isJoined(options, request))) return { ...work, doneCount: copies.length };
  const copy = copies[doneCount];
  if (copy === undefined) return work;
  if (copy.target === sharedId && isNew) {
    await sides[copy.to].create(sharedId, request.name ?? "Shared library");
  }
  let leader: HandOver["leader"] = null;
  if (copy.from === "local" && copy.to === "remote") {
    leader = { ...remote, deviceId: request.deviceId };
  }
  if (copy.from === "remote" && copy.to === "local") {
    const token = await options.invite?.(work.remoteId, copy.target);
    if (token === undefined) {
      throw invalid(
        "leader_device_id",
        "This service makes no tokens, so that none can follow it.",
      );
    }
    leader = { url: request.localUrl, token };
  }
  assertLeader(request, deviceId, work.remoteId);
  let { isEnding } = work;
  const note = (state: CopyState): Promise<void> => save({ ...work, state, isEnding });
  const end = (state: CopyState, mayEnd: boolean): Promise<void> => {
    // Where one of two libraries has ended, the other has to follow.
    isEnding = mayEnd || doneCount > 0;
    return note(state);
  };
  const context = { sides, copy, leader, isEnding, save: note, end };
  const { mergedCount } = await runCopy(context, work.state);
  options.telemetry.log("info", "A library was merged into another.", { ...copy, isLocalLeader });
  const state = { ...newCopy, mergedCount };
  return { ...work, state, doneCount: doneCount + 1, isEnding: true };
}
