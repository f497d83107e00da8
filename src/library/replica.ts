/**
 * How a library becomes the replica of a leader's: what this service has of it is looked at first, and
 * nothing is taken from it that the leader does not have.
 *
 * @module
 */
import { toPath } from "../follower/chain.ts";
import type { Follower } from "../follower/follower.ts";
import { createUpstream } from "../follower/upstream.ts";
import type { Fetch, LeaderDescription, Upstream } from "../follower/upstream.ts";
import { readState } from "../lease/lease.ts";
import { decodeEntries, selectRange } from "../log/sync-log.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { Database, Statement } from "../store/database.ts";
import { guardOf } from "../store/failure.ts";
import { migrate } from "../store/migrate.ts";
import type { Catalog, CatalogOptions } from "./catalog.ts";
import type { Library } from "./library.ts";
import { addListing } from "./listing.ts";
import { schemaOf } from "./prepare.ts";

/** Whom to follow, and with what right. The token must reach all types of the library. */
export interface FollowRequest {
  readonly libraryId: string;
  readonly leaderUrl: string;
  readonly token: string;
  /** What this service has of the library was merged into the leader's, and may go. */
  readonly isMerged?: boolean;
  /** As which device: the nodes that share a replica are one. This node when left out. */
  readonly deviceId?: string | undefined;
  /** What this device is called there. */
  readonly deviceName?: string | undefined;
}

/** What a replica is made with. */
interface ReplicaOptions extends CatalogOptions {
  readonly catalog: Catalog;
  readonly fetch: Fetch;
}

/** Refuses to make a library the replica of itself, or of its replica: nobody would lead it. @throws invalid_body */
async function assertOther(
  database: Database,
  who: Parameters<typeof readState>[1],
  leader: {
    readonly url: string;
    readonly deviceId: string | null;
    readonly chain: readonly string[];
  },
): Promise<void> {
  const own = await readState(database.read, who);
  // A lease that runs is written by who leads, so its database is the leader's.
  const isLed = own !== null && own.leaseEndsAt > who.clock.monotonic();
  const ours = [who.deviceId, ...(isLed ? [own.leaderDeviceId] : [])];
  if ([...leader.chain, leader.deviceId].some((id) => ours.includes(id)))
    throw itself(leader.url, leader.chain);
}

function itself(url: string, chain: readonly string[] = []): SyncError {
  const message =
    chain.length > 1
      ? `${url} follows this service itself, by ${toPath(chain)}: nobody would lead the library.`
      : `${url} is this service itself, not another one.`;
  return new SyncError("invalid_body", { issues: [{ path: "url", message }] });
}

/** How long an address is given to say who it is; a replica goes on without its leader. */
const WHO_MS = 5_000;

/** Refuses to turn a replica to itself, by whichever of its nodes, or to one that follows it. @throws invalid_body */
export async function assertNotReplica(
  options: ReplicaOptions,
  {
    library,
    request,
    follower,
  }: {
    readonly library: Library;
    readonly request: FollowRequest;
    readonly follower: Follower;
  },
): Promise<void> {
  const { createdAt, leaderDeviceId } = library.state;
  const ours = [follower.deviceId, request.deviceId ?? options.lease.deviceId];
  const assertAnother = async (url: string): Promise<void> => {
    const upstream = createUpstream({ ...options, ...request, url, replyMs: WHO_MS });
    const found = await upstream.describe().catch(() => null);
    // A copy of the replica that leads by now is as old, and names itself as the leader.
    if (found?.leaderDeviceId === leaderDeviceId && Date.parse(found.createdAt) === createdAt)
      throw itself(url);
    const chain = await upstream.chain(ours);
    if (chain.some((id) => ours.includes(id))) throw itself(url, chain);
  };
  await Promise.all(request.leaderUrl.split(",").map(assertAnother));
}

function wouldLose(): SyncError {
  const detail =
    "This service has commits of that library which the leader does not have; merge them first, " +
    "or delete the library here.";
  return new SyncError("already_exists", { current: null }, { detail });
}

/**
 * Refuses to turn a library into a replica when that would lose commits. Resolves to its head.
 *
 * @throws already_exists
 */
async function assertNothingLost(
  database: Database,
  who: Parameters<typeof readState>[1],
  leader: { readonly description: LeaderDescription; readonly upstream: Upstream },
): Promise<number> {
  const own = await readState(database.read, who);
  if (own === null || own.head === 0) return 0;
  const { historyId, head } = leader.description;
  if (own.historyId === historyId && own.head <= head) {
    const [rows = []] = await database.read([selectRange(own.head, own.head)]);
    const [ours] = decodeEntries(rows);
    const { entries } = await leader.upstream.log(own.head - 1, 1, historyId);
    if (ours?.transactionId === entries[0]?.transactionId) return own.head;
  }
  throw wouldLose();
}

/** Aborts the batch it stands in when a replica has another head: a commit came since it was looked at. */
const stillAt = (head: number): Statement => ({
  sql: "INSERT INTO follow (head, next, epoch) SELECT ?1, ?1, epoch FROM library",
  args: [head],
});

/** Gives a database the library's identity and the row that keeps it from leading. */
function toReplica(
  { libraryId, leaderUrl }: FollowRequest,
  { name, description, historyId, leaderDeviceId }: LeaderDescription,
  now: number,
): Statement[] {
  return [
    {
      sql: `INSERT INTO library (id, name, description, history_id, head, epoch, lease_expires_at,
        oldest_sequence, created_at) SELECT ?, ?, ?, ?, 0, 0, 0, 1, ?
        WHERE NOT EXISTS (SELECT 1 FROM library)`,
      args: [libraryId, name, description, historyId, now],
    },
    {
      sql: "INSERT OR REPLACE INTO follower (library_id, leader_url) VALUES (?, ?)",
      args: [libraryId, leaderUrl],
    },
    {
      sql: "UPDATE library SET leader_device_id = ?, leader_url = ?, lease_expires_at = 0",
      args: [leaderDeviceId, leaderUrl],
    },
  ];
}

/** Whether the database still follows: a promotion that has begun may have made it lead already. */
function isReplicaStill({ catalog }: ReplicaOptions, libraryId: string): Promise<boolean> {
  return catalog.use(libraryId, async ({ database }) => {
    const [rows = []] = await database.read([{ sql: "SELECT 1 FROM follower", args: [] }]);
    return rows.length > 0;
  });
}

/** Makes the database a replica of the leader's library, unless it is one already. */
export async function prepareReplica(
  options: ReplicaOptions,
  request: FollowRequest,
): Promise<void> {
  const { catalog, clock, lease, registry } = options;
  const { libraryId, leaderUrl } = request;
  const [known = []] = await catalog.database.read([
    {
      sql: "SELECT library_id FROM follower WHERE library_id = ? AND leader_url <> ''",
      args: [libraryId],
    },
  ]);
  // A replica that exists goes on without its leader; a new one needs to know whom it copies.
  if (known.length > 0 && (await isReplicaStill(options, libraryId))) return;
  const upstream = createUpstream({ ...options, ...request, url: leaderUrl });
  const description = await upstream.describe();
  const chain = await upstream.chain([lease.deviceId]);
  await catalog.release(libraryId);
  await options.createDatabase?.(libraryId);
  const database = options.openDatabase(libraryId);
  try {
    await migrate(database, schemaOf(registry), clock.now());
    const who = { deviceId: lease.deviceId, clock };
    const { leaderDeviceId: deviceId } = description;
    await assertOther(database, who, { url: leaderUrl, deviceId, chain });
    const same: Statement[] = [];
    if (request.isMerged !== true)
      same.push(stillAt(await assertNothingLost(database, who, { description, upstream })));
    await database
      .write([...toReplica(request, description, clock.now()), ...same])
      .catch((error: unknown) => {
        throw guardOf(error) === "follow" ? wouldLose() : error;
      });
  } finally {
    database.close();
  }
  // Whoever asked for it meanwhile has it open as a library of its own.
  await catalog.release(libraryId);
  // Listed before, it would be opened as a library of its own by whoever asked for it.
  await adopt(options, libraryId, description);
}

/** Puts the library into this service's list. */
async function adopt(
  { catalog, clock }: ReplicaOptions,
  id: string,
  { name, description }: LeaderDescription,
): Promise<void> {
  const listing = { id, name, description, createdAt: clock.now() };
  await addListing(catalog.database, listing).catch((error: unknown) => {
    if (!isSyncError(error, "already_exists")) throw error;
  });
  const sql = "UPDATE libraries SET state = 'active' WHERE id = ?";
  await catalog.database.write([{ sql, args: [id] }]);
}
