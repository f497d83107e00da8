/**
 * How a replica becomes a library that leads. The catalog says that it has begun, so that whatever
 * ends it half-way, a node goes on with it: what waited for the leader was accepted, and is not lost.
 *
 * @module
 */
import { createId } from "../base/id.ts";
import { isRefusal } from "../commit/line.ts";
import { readWaiting } from "../follower/outbox.ts";
import type { QueuedWrite } from "../follower/outbox.ts";
import { unseat } from "../lease/lease.ts";
import { SyncError, isSyncError, toProblem } from "../protocol/errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Catalog } from "./catalog.ts";
import type { Library } from "./library.ts";

interface Options {
  readonly catalog: Catalog;
  readonly telemetry: Telemetry;
}

/** From now on no node follows the library: a leader without a token is none. */
export async function markPromoted({ catalog }: Options, libraryId: string): Promise<void> {
  const sql = "UPDATE follower SET token = NULL WHERE library_id = ?";
  await catalog.database.write([{ sql, args: [libraryId] }]);
}

interface ReplayedRequest {
  readonly changes?: unknown;
  readonly operation?: unknown;
  readonly input?: unknown;
}

function commit({ manager }: Library, { path, request, mutationId, deviceId }: QueuedWrite) {
  const context = { author: { deviceId, isDevice: true }, mutationId };
  // In the order it came in, by which the same mutation is known again.
  const { mutation_id: _id, ...change } = request;
  const { changes, operation, input } = request as ReplayedRequest;
  if (path === "commit") return manager.commit(change as never, context);
  if (path !== "batch") return manager.runAction(path.replace("actions/", ""), input, context);
  const batch = operation === undefined ? context : { ...context, operation };
  return manager.commitBatch((changes ?? []) as never, batch as never);
}

/**
 * Commits here what waited for the leader. What is refused stays in the outbox, with its problem.
 *
 * @throws what may pass: that write and those behind it go on waiting
 */
async function replay(library: Library, waiting: readonly QueuedWrite[], { telemetry }: Options) {
  const { database } = library;
  for (const write of waiting) {
    const { mutationId } = write;
    try {
      await commit(library, write);
      const sql = "DELETE FROM outbox WHERE mutation_id = ?";
      await database.write([{ sql, args: [mutationId] }]);
    } catch (error) {
      if (isSyncError(error) && !isRefusal(error)) throw error;
      const about = { mutation_id: mutationId, error };
      telemetry.log("error", "A queued write could not be committed.", about);
      const refusal = isSyncError(error)
        ? error
        : new SyncError("internal", { requestId: createId() });
      const sql = "UPDATE outbox SET problem = ? WHERE mutation_id = ?";
      await database.write([{ sql, args: [JSON.stringify(toProblem(refusal)), mutationId] }]);
    }
  }
}

/**
 * Lets a library lead whose promotion has begun, under the next epoch, and commits what waited for
 * its leader. Null where another node leads it already, which does so.
 *
 * @throws what may pass: it goes on within seconds
 */
export async function finishPromotion(
  options: Options,
  libraryId: string,
): Promise<Library | null> {
  const { catalog } = options;
  const replica = await catalog.open(libraryId);
  if (replica.state.isReplica) {
    await replica.database.write([unseat, { sql: "DELETE FROM follower", args: [] }]);
    await catalog.release(libraryId);
  }
  const library = await catalog.open(libraryId);
  const { database, leadership, state } = library;
  if ((await leadership.lead(true)) !== null) return null;
  for (let waiting = await readWaiting(database); waiting.length > 0;) {
    await replay(library, waiting, options);
    waiting = await readWaiting(database);
  }
  const sql = "DELETE FROM follower WHERE library_id = ? AND token IS NULL";
  await catalog.database.write([{ sql, args: [libraryId] }]);
  const { leaderDeviceId: leader_device_id, epoch } = state;
  library.announce("LeaderChanged", { leader_device_id, epoch });
  return library;
}

/** Goes on with promotions that a node began and did not finish. */
export async function finishPromotions(
  options: Options,
  libraryIds: readonly string[],
): Promise<void> {
  for (const libraryId of libraryIds) {
    await finishPromotion(options, libraryId).catch((error: unknown) =>
      options.telemetry.log("error", "A promotion could not go on.", {
        library_id: libraryId,
        error,
      }),
    );
  }
}
