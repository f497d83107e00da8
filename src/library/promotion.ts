/**
 * How a replica becomes a library that leads. The catalog says that it has begun, so that whatever
 * ends it half-way, a node goes on with it: what waited for the leader was accepted, and is not lost.
 *
 * @module
 */
import { createId } from "../base/id.ts";
import { createLine, isRefusal } from "../commit/line.ts";
import type { Place } from "../commit/line.ts";
import { sumType } from "../commit/remote-snapshot.ts";
import type { LineEntry } from "../follower/line.ts";
import { readWaiting, reclaim, settled } from "../follower/outbox.ts";
import type { OutboxEntry, QueuedWrite } from "../follower/outbox.ts";
import { readProgress, whileAt, whileExplained } from "../follower/progress.ts";
import { unseat } from "../lease/lease.ts";
import { SyncError, isSyncError, toProblem } from "../protocol/errors.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database, Statement } from "../store/database.ts";
import { guardOf } from "../store/failure.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Catalog } from "./catalog.ts";
import type { Library } from "./library.ts";

interface Options {
  readonly catalog: Catalog;
  readonly inherit: Inherit;
  readonly registry: Registry;
  readonly telemetry: Telemetry;
}

/**
 * Commits what waited for the leader that a library had, before anything else is written there: it came
 * first. Looks once in each epoch of this node. @throws what may pass
 */
export type Inherit = (library: Library) => Promise<void>;

/** From now on no node follows the library: a leader without a token is none. */
export async function markPromoted(catalog: Catalog, libraryId: string): Promise<void> {
  const sql = "UPDATE follower SET token = NULL WHERE library_id = ?";
  await catalog.database.write([{ sql, args: [libraryId] }]);
}

/**
 * Refuses to lead with a part of the records, and under sequences that its leader gave to other entries:
 * what never had all of its leader's history cannot go on with it.
 *
 * @throws overloaded until the first snapshot is complete
 */
export async function assertWhole({ state, database }: Library): Promise<void> {
  const progress = await readProgress(database);
  if (progress === null || progress.isBackfilled || state.epoch > 0) return;
  const detail =
    "The first snapshot of this copy is not complete, so that it has a part of the records only: " +
    "promote it once it is, or delete it here.";
  throw new SyncError("overloaded", { retryAfterSeconds: 60 }, { detail });
}

interface ReplayedRequest {
  readonly changes?: unknown;
  readonly operation?: unknown;
  readonly input?: unknown;
}

async function commit({ manager }: Library, write: QueuedWrite, place: Place): Promise<unknown> {
  const { path, request, mutationId, deviceId } = write;
  const context = { author: { deviceId, isDevice: true }, mutationId, place };
  // In the order it came in, by which the same mutation is known again.
  const { mutation_id: _id, ...change } = request;
  const { changes, operation, input } = request as ReplayedRequest;
  if (path === "commit") return manager.commit(change as never, context);
  if (path !== "batch") return manager.runAction(path.replace("actions/", ""), input, context);
  const batch = operation === undefined ? context : { ...context, operation };
  return manager.commitBatch((changes ?? []) as never, batch as never);
}

/** What became of some that waited, up to the first that gets no answer now. */
function toAnswers(
  results: readonly PromiseSettledResult<unknown>[],
  telemetry: Telemetry,
): { readonly answers: readonly LineEntry[]; readonly error: SyncError | null } {
  const answers: LineEntry[] = [];
  for (const result of results) {
    const error: unknown = result.status === "rejected" ? result.reason : null;
    if (isSyncError(error) && !isRefusal(error)) return { answers, error };
    if (error === null) answers.push({});
    else {
      telemetry.log("error", "A queued write could not be committed.", { error });
      const refusal = isRefusal(error)
        ? error
        : new SyncError("internal", { requestId: createId() });
      answers.push({ problem: toProblem(refusal) });
      // Nobody foresaw it, and those behind it were told the same: they are tried again.
      if (!isRefusal(error)) break;
    }
  }
  return { answers, error: null };
}

/**
 * Commits here what waited for the leader, as a line. What is refused stays in the outbox, with its problem.
 *
 * @throws what may pass: that write and those behind it go on waiting
 */
async function replay(
  library: Library,
  waiting: readonly OutboxEntry[],
  telemetry: Telemetry,
): Promise<void> {
  const placeAt = createLine();
  const results = await Promise.allSettled(
    waiting.map(async (write, at) => {
      const place = placeAt(at);
      await commit(library, write, place).catch((error: unknown) => {
        place.failed(error);
        throw error;
      });
    }),
  );
  const { answers, error } = toAnswers(results, telemetry);
  await library.database.write(settled(waiting, answers));
  if (error !== null) throw error;
}

export function createInherit(telemetry: Telemetry): Inherit {
  const begun = new WeakMap<Library, { readonly epoch: number; readonly done: Promise<void> }>();
  const commitWaiting = async (library: Library): Promise<void> => {
    try {
      for (let waiting = await readWaiting(library.database); waiting.length > 0;) {
        await replay(library, waiting, telemetry);
        waiting = await readWaiting(library.database);
      }
    } catch (error) {
      begun.delete(library);
      throw error;
    }
  };
  return (library) => {
    const { epoch } = library.state;
    const known = begun.get(library);
    if (known?.epoch === epoch) return known.done;
    const done = commitWaiting(library);
    begun.set(library, { epoch, done });
    return done;
  };
}

/**
 * Lets a library lead whose promotion has begun, under the next epoch, and commits what waited for
 * its leader. Null where another node leads it already, which does so. Whoever asks meanwhile waits
 * for the same: a second run would close what has come to lead.
 *
 * @throws what may pass: it goes on within seconds
 */
export type Finish = (libraryId: string) => Promise<Library | null>;

export function createFinish(options: Options): Finish {
  const running = new Map<string, Promise<Library | null>>();
  return (libraryId) => {
    const finishing =
      running.get(libraryId) ??
      options.catalog
        .use(libraryId, (library) => finish(options, libraryId, library))
        .finally(() => running.delete(libraryId));
    running.set(libraryId, finishing);
    return finishing;
  };
}

/**
 * What a copy whose records are newer than its log becomes: the beginning of a history of its own. Under
 * the old one nobody who goes on from the log would ever hear of those records.
 */
async function toHistory(database: Database, registry: Registry): Promise<Statement[]> {
  const statements: Statement[] = [];
  for (const resource of registry.resources) {
    if (resource.domain === "state") continue;
    const { count, sum } = await sumType(database, resource);
    const sql = "INSERT INTO checksums (resource_type, count, sum) VALUES (?, ?, ?)";
    statements.push({ sql, args: [resource.type, count, sum] });
  }
  return [
    { sql: "DELETE FROM checksums", args: [] },
    ...statements,
    { sql: "UPDATE library SET history_id = ?, oldest_sequence = head + 1", args: [createId()] },
    { sql: "DELETE FROM sync_log", args: [] },
    // They count entries that this history does not have.
    { sql: "DELETE FROM sync_positions", args: [] },
  ];
}

/** From here on the database follows nobody, and whoever opens it may lead. @throws overloaded */
async function leave({ registry, telemetry }: Options, { state, database }: Library) {
  const progress = await readProgress(database);
  if (progress === null) return;
  const { isAhead } = progress;
  const history = isAhead ? await toHistory(database, registry) : [];
  await database
    .write([
      isAhead ? whileAt(progress) : whileExplained,
      ...history,
      unseat,
      ...reclaim,
      { sql: "DELETE FROM follower", args: [] },
    ])
    .catch(async (error: unknown) => {
      if (guardOf(error) !== "follow") throw error;
      // Another node has just done the same.
      if ((await readProgress(database)) === null) return;
      const detail =
        "Another node of this service still takes records from the old leader: it leaves it within " +
        "seconds, and the promotion goes on by itself.";
      throw new SyncError("overloaded", { retryAfterSeconds: 5 }, { cause: error, detail });
    });
  if (!isAhead) return;
  const message =
    "A copy was promoted whose records were newer than its log: it has a new history.";
  telemetry.log("info", message, { library_id: state.id, head: progress.head });
}

async function finish(
  options: Options,
  libraryId: string,
  found: Library,
): Promise<Library | null> {
  const { catalog, inherit } = options;
  if (found.state.isReplica) {
    await leave(options, found);
    await catalog.release(libraryId);
  }
  const library = await catalog.open(libraryId);
  const { leadership, state } = library;
  if ((await leadership.lead(true)) !== null) return null;
  await inherit(library);
  // That it was stays on record: whoever asks again is told that it leads.
  const sql = "UPDATE follower SET leader_url = '' WHERE library_id = ? AND token IS NULL";
  await catalog.database.write([{ sql, args: [libraryId] }]);
  const { leaderDeviceId: leader_device_id, epoch } = state;
  library.announce("LeaderChanged", { leader_device_id, epoch });
  return library;
}

/** Goes on with promotions that a node began and did not finish. */
export async function finishPromotions(
  { finish, telemetry }: { readonly finish: Finish; readonly telemetry: Telemetry },
  libraryIds: readonly string[],
): Promise<void> {
  for (const libraryId of libraryIds) {
    await finish(libraryId).catch((error: unknown) =>
      telemetry.log("error", "A promotion could not go on.", { library_id: libraryId, error }),
    );
  }
}
