import type { Catalog } from "./catalog.ts";
import { unseat } from "../lease/lease.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { Following } from "./following.ts";
import { assertLeading } from "./leadership.ts";
import type { Library } from "./library.ts";

/** Where a library that was merged goes on. */
export interface HandOver {
  /** The library that has all its records now. */
  readonly into: string;
  /** How far its log was merged: when it has gone on since, nothing is handed over. */
  readonly head: number;
  readonly historyId: string;
  /** Who leads `into`, and the right to follow it; null when this service does. */
  readonly leader: {
    readonly url: string;
    readonly token: string;
    /** Whose the token is; the node's that is asked when left out. */
    readonly deviceId?: string | undefined;
  } | null;
}

/** Why a copy of another's library cannot be joined. */
export const FOLLOWS =
  "This library follows a leader elsewhere: join it there, or promote this copy first.";

/** The row that keeps every node from leading stands only if no commit came between (I3). */
const FREEZE = `INSERT INTO follower (library_id, leader_url)
  SELECT ?, ? FROM library WHERE head = ? AND history_id = ? AND NOT EXISTS (SELECT 1 FROM follower)`;

/**
 * Refuses to follow in place of a library that this service has of its own: another node's of this
 * very service, or a copy that was promoted. What is in it would be lost, and nobody would lead it.
 *
 * @throws already_exists
 */
async function assertNotOwn(catalog: Catalog, libraryId: string): Promise<void> {
  const own = await catalog.open(libraryId).catch((error: unknown) => {
    if (isSyncError(error, "not_found")) return null;
    throw error;
  });
  if (own === null || own.state.isReplica) return;
  const detail =
    `The service that is to follow ${libraryId} has a library of that id of its own: ` +
    "merge that one first, or delete it there.";
  throw new SyncError("already_exists", { current: null }, { detail });
}

/** Keeps every node from leading the library. Resolves to false when its log went on. @throws forbidden */
async function freeze(
  library: Library,
  { into, head, historyId, leader }: HandOver,
): Promise<boolean> {
  const { database, committer, state } = library;
  if (!state.isReplica) await assertLeading(library);
  const write = async (): Promise<boolean> => {
    await database.write([
      { sql: FREEZE, args: [into, leader?.url ?? "", head, historyId] },
      unseat,
    ]);
    const [rows = []] = await database.read([{ sql: "SELECT library_id FROM follower", args: [] }]);
    return rows[0]?.[0] === into;
  };
  // Asked again after a break: what has ended already has nobody who commits.
  const frozen = await (state.isReplica ? write() : committer.exclusive(write));
  if (!frozen && state.isReplica) {
    throw new SyncError("forbidden", { reason: "follows" }, { detail: FOLLOWS });
  }
  return frozen;
}

/**
 * Ends a library that was merged, and lets its id stand for the one it was merged into; if that is
 * led elsewhere, this service follows it. Nothing committed is lost: the end is one transaction that
 * fails when the log went on. Asked again after a break it goes on where it was. Resolves to whether
 * it is done; if not, the rest of the log must be merged first.
 *
 * @throws already_exists, forbidden
 */
export async function handOver(
  { catalog, following }: { readonly catalog: Catalog; readonly following: Following },
  libraryId: string,
  order: HandOver,
): Promise<boolean> {
  const { into, leader } = order;
  const isDone = libraryId === into ? following.find(into) !== undefined : isMerged();
  if (isDone) return true;
  if (leader !== null && libraryId !== into) await assertNotOwn(catalog, into);
  if (!(await catalog.use(libraryId, (library) => freeze(library, order)))) return false;
  await catalog.release(libraryId);
  if (leader !== null && following.find(into) === undefined) {
    const { url: leaderUrl, ...right } = leader;
    await following.follow({ libraryId: into, leaderUrl, ...right, isMerged: true });
  }
  if (libraryId !== into) await catalog.rename(libraryId, into);
  return true;

  function isMerged(): boolean {
    return catalog.resolve(libraryId) === catalog.resolve(into);
  }
}
