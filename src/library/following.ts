import { createFollower } from "../follower/follower.ts";
import type { Follower, FollowerStatus, FollowerTimes } from "../follower/follower.ts";
import type { Fetch } from "../follower/upstream.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Catalog, CatalogOptions } from "./catalog.ts";
import type { Library } from "./library.ts";
import {
  assertWhole,
  createFinish,
  createInherit,
  finishPromotions,
  markPromoted,
} from "./promotion.ts";
import type { Finish, Inherit } from "./promotion.ts";
import { assertNotReplica, prepareReplica } from "./replica.ts";
import type { FollowRequest } from "./replica.ts";

/**
 * The libraries of this service that follow a leader elsewhere. Every node that shares the catalog
 * follows them, whichever began it: so each can pass writes on and feed its listeners, and none is
 * needed for the replica to go on. The fence of a replica lets each entry be applied once.
 */
export interface Following {
  /** Begins to follow, or goes on with another address or token. @throws already_exists, invalid_body */
  follow(request: FollowRequest): Promise<Follower>;
  find(libraryId: string): Follower | undefined;
  /** How each follower does, by library. */
  statuses(): ReadonlyMap<string, FollowerStatus>;
  /** Follows what the catalog says, and nothing else: at the start, and as other nodes change it. */
  look(): Promise<void>;
  /** Leads what it followed, under the next epoch. What waits in the outbox is committed here. */
  promote(libraryId: string): Promise<Library>;
  readonly inherit: Inherit;
  /** Stops following a library that is deleted here. */
  forget(libraryId: string): Promise<void>;
  stop(): Promise<void>;
}

export interface FollowingOptions extends CatalogOptions {
  readonly catalog: Catalog;
  readonly fetch?: Fetch | undefined;
  readonly random?: (() => number) | undefined;
  readonly deviceName?: string | undefined;
  readonly followerTimes?: Partial<FollowerTimes> | undefined;
  /** Whether this node goes on by itself to follow the leader of a library; it does when left out. */
  readonly runs?: ((libraryId: string) => boolean) | undefined;
}

/** How long a step of a follower that is to end may last. */
const REST_MS = 1_000;
/** How often a node learns that another began or ended to follow. */
const LOOK_EVERY_MS = 5_000;

/** Puts into the catalog whom every node of this service follows from now on. */
async function remember(
  { catalog, lease }: FollowingOptions,
  { libraryId, leaderUrl, token, deviceId = lease.deviceId }: FollowRequest,
): Promise<void> {
  const sql = `INSERT INTO follower (library_id, leader_url, token, device_id) VALUES (?, ?, ?, ?)
    ON CONFLICT (library_id) DO UPDATE SET leader_url = excluded.leader_url, token = excluded.token,
    device_id = excluded.device_id`;
  await catalog.database.write([{ sql, args: [libraryId, leaderUrl, token, deviceId] }]);
}

async function forgetLeader({ catalog }: FollowingOptions, libraryId: string): Promise<void> {
  const sql = "DELETE FROM follower WHERE library_id = ?";
  await catalog.database.write([{ sql, args: [libraryId] }]);
}

/** Whom this service follows, what it has begun to promote (`markPromoted`), and what it has promoted. */
async function readFollowed({ catalog, lease }: FollowingOptions) {
  const [rows = []] = await catalog.database.read([
    {
      sql: `SELECT library_id, leader_url, token, device_id FROM follower
        WHERE library_id IN (SELECT id FROM libraries WHERE state = 'active')`,
      args: [],
    },
  ]);
  const wanted: FollowRequest[] = [];
  const promoted: string[] = [];
  const leading: string[] = [];
  for (const row of rows as [string, string, string | null, string | null][]) {
    const [libraryId, leaderUrl, token, deviceId] = row;
    if (token === null) (leaderUrl === "" ? leading : promoted).push(libraryId);
    else wanted.push({ libraryId, leaderUrl, token, deviceId: deviceId ?? lease.deviceId });
  }
  return { wanted, promoted, leading };
}

type Options = FollowingOptions & { readonly fetch: Fetch; readonly finish: Finish };

/** The followers that run here. */
function createFollowers(options: Options) {
  const { catalog, lease, telemetry } = options;
  const followers = new Map<string, Follower>();
  /** What each of them was asked for. */
  const requests = new Map<string, FollowRequest>();
  return {
    all: followers,
    start: (request: FollowRequest): Follower => {
      const { libraryId, deviceId = lease.deviceId, deviceName = "follower" } = request;
      const follower = createFollower({
        ...options,
        ...request,
        device: { id: deviceId, name: deviceName },
        open: () => catalog.open(libraryId),
        whileOpen: (run) => catalog.use(libraryId, run),
        close: () => catalog.release(libraryId),
        ...(options.followerTimes === undefined ? {} : { times: options.followerTimes }),
      });
      followers.set(libraryId, follower);
      requests.set(libraryId, request);
      if (options.runs?.(libraryId) !== false) {
        follower
          .run()
          .catch((error: unknown) =>
            telemetry.log("error", "A follower ended.", { library: libraryId, error }),
          );
      }
      return follower;
    },
    stop: async (libraryId: string, why: "stop" | "promote" = "stop"): Promise<void> => {
      const follower = followers.get(libraryId);
      followers.delete(libraryId);
      const stopped = follower?.stop(why);
      // A leader that hangs would be waited for, by whoever writes as well.
      follower?.upstream.close();
      await stopped;
    },
    /** Ends what one does; it goes on taking writes until the next stands in its place. */
    rest: async (libraryId: string): Promise<void> => {
      const follower = followers.get(libraryId);
      const stopped = follower?.stop().then(() => true);
      const isResting = await Promise.race([stopped, options.clock.sleep(REST_MS)]);
      // Its leader hangs, or is sending a whole snapshot.
      if (isResting !== true) follower?.upstream.close();
      await stopped;
    },
    /** Whether one runs that was asked for the same. One that saw a promotion has ended. */
    has: ({ libraryId, leaderUrl, token }: FollowRequest): boolean => {
      const state = followers.get(libraryId)?.status.state ?? "promoted";
      const known = state === "promoted" ? undefined : requests.get(libraryId);
      return known?.leaderUrl === leaderUrl && known.token === token;
    },
  };
}

/** Keeps the followers as the catalog says, which other nodes change too. */
function createWatch(options: Options, followers: ReturnType<typeof createFollowers>) {
  const { catalog, clock, telemetry } = options;
  /** Steps of changes that are made here, and how many changes are under way. */
  const changes = { steps: 0, open: 0 };
  let isStopped = false;
  const look = async (): Promise<void> => {
    const { steps } = changes;
    const { wanted, promoted, leading } = await readFollowed(options);
    // What was read may be older than what was changed here meanwhile.
    if (isStopped || changes.open > 0 || changes.steps !== steps) return;
    const named = new Set(wanted.map(({ libraryId }) => libraryId));
    const gone = [...followers.all.keys()].filter((id) => !named.has(id));
    const begun = wanted.filter((request) => !followers.has(request));
    await Promise.all(begun.map(({ libraryId }) => followers.stop(libraryId)));
    for (const request of begun) {
      if (!isStopped && !followers.all.has(request.libraryId)) followers.start(request);
    }
    for (const id of gone) {
      await followers.stop(id);
      // Promoted or deleted at another node: whoever asks for it here finds what it is now.
      await catalog.release(id);
    }
    // What another node brought to its end, and is still open here as the copy it was.
    for (const { state } of catalog.libraries)
      if (state.isReplica && leading.includes(state.id)) await catalog.release(state.id);
    // Whoever began one here meanwhile is at it.
    if (!isStopped && changes.steps === steps) await finishPromotions(options, promoted);
  };
  const stopLooking = clock.every(LOOK_EVERY_MS, () => {
    look().catch((error: unknown) =>
      telemetry.log("error", "Whom to follow could not be read.", { error }),
    );
  });
  return {
    look,
    /** Changes what is followed, which nobody looks at meanwhile. */
    change: async <Result>(run: () => Promise<Result>): Promise<Result> => {
      changes.steps += 1;
      changes.open += 1;
      return run().finally(() => {
        changes.steps += 1;
        changes.open -= 1;
      });
    },
    stop: (): void => {
      isStopped = true;
      stopLooking();
    },
  };
}

export function createFollowing(given: FollowingOptions): Following {
  const { catalog } = given;
  const inherit = createInherit(given.telemetry);
  const options: Options = {
    ...given,
    fetch: given.fetch ?? ((url, init) => fetch(url, init)),
    finish: createFinish({ ...given, inherit }),
  };
  const followers = createFollowers(options);
  const { look, change, ...watch } = createWatch(options, followers);

  return {
    inherit,
    forget: (libraryId) =>
      change(async () => {
        await followers.stop(libraryId);
        await forgetLeader(options, libraryId);
      }),
    follow: (request) =>
      change(async () => {
        const follower = followers.all.get(request.libraryId);
        if (follower !== undefined) {
          const library = await catalog.open(request.libraryId);
          await assertNotReplica(options, { library, request, follower });
        }
        await followers.rest(request.libraryId);
        try {
          await prepareReplica(options, request);
          await remember(options, request);
        } catch (error) {
          await followers.stop(request.libraryId);
          throw error;
        }
        return followers.start(request);
      }),
    find: (libraryId) => followers.all.get(catalog.resolve(libraryId)),
    statuses: () => new Map([...followers.all].map(([id, { status }]) => [id, status])),
    look,
    promote: (asked) =>
      change(async () => {
        const libraryId = catalog.resolve(asked);
        // Who asks again, because no answer came, is told that it leads, or wants that to be finished.
        const known = followers.all.has(libraryId) ? null : await readFollowed(options);
        if (known?.leading.includes(libraryId) === true) {
          return catalog.use(libraryId, async (library) => {
            await library.leadership.lead();
            return library;
          });
        }
        if (known?.promoted.includes(libraryId) === false) {
          const detail = "Only a follower can be promoted; this node does not follow that library.";
          throw new SyncError("not_found", { what: `follower of ${libraryId}` }, { detail });
        }
        if (known === null) await catalog.use(libraryId, assertWhole);
        await markPromoted(catalog, libraryId);
        await followers.stop(libraryId, "promote");
        return (await options.finish(libraryId)) ?? catalog.open(libraryId);
      }),
    stop: async () => {
      watch.stop();
      await Promise.all([...followers.all.keys()].map((id) => followers.stop(id)));
    },
  };
}
