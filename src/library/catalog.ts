import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import { readState } from "../lease/lease.ts";
import type { LeaseOptions, LibraryState } from "../lease/lease.ts";
import { isSyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database, Read } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import type { OpenUpstream } from "../stream/relay.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { openLibrary } from "./library.ts";
import type { Library } from "./library.ts";
import {
  addListing,
  dropListing,
  findListing,
  findMerged,
  readListings,
  readMerged,
} from "./listing.ts";
import type { LibraryListing } from "./listing.ts";
import { createSummaries } from "./summary.ts";
import type { LibrarySummary, Summaries } from "./summary.ts";
import { createPool } from "./pool.ts";
import type { Pool } from "./pool.ts";
import { schemaOf } from "./prepare.ts";

/** All libraries of a service: the list, and the bounded pool of those that are open. */
export interface Catalog {
  readonly database: Database;
  create(input: { id?: string; name: string; description?: string | null }): Promise<Library>;
  /** A page of the libraries as they were a few seconds ago at most; opens none that was ever told of. */
  list(after: string, limit: number): Promise<LibrarySummary[]>;
  /**
   * Opens the library when it is not open yet, for whoever only looks at it: once something else was
   * waited for, it may be closed. @throws not_found, overloaded
   */
  open(id: string): Promise<Library>;
  /** The library, which stays open until it is let go. @throws not_found, overloaded */
  hold(id: string): Promise<Held>;
  /** Runs something with the library, which stays open meanwhile. @throws not_found, overloaded */
  use<Result>(id: string, run: (library: Library) => Promise<Result>): Promise<Result>;
  /** Reads from a library without opening it where it is not open: nobody leads it because of that. @throws not_found */
  peek<Result>(id: string, run: (read: Read) => Promise<Result>): Promise<Result>;
  remove(id: string): Promise<void>;
  /** Closes the library, so that it is opened afresh; it stays in the list. */
  release(id: string): Promise<void>;
  /** The library that an id stands for: another one, once it was merged into that. */
  resolve(id: string): string;
  /** Makes an id another name of the library it was merged into. */
  rename(id: string, into: string): Promise<void>;
  /** Leaves what another node deleted or merged, as is done every second. */
  look(): Promise<void>;
  /** How many libraries are open now. */
  readonly openCount: number;
  /** The libraries that are open now, without those that are being opened. */
  readonly libraries: readonly Library[];
  close(): Promise<void>;
}

/** A library that stays open. */
export interface Held {
  readonly library: Library;
  readonly letGo: () => void;
}

export interface OpenCatalogOptions extends CatalogOptions {
  readonly openUpstream: OpenUpstream;
}

export interface CatalogOptions {
  readonly registry: Registry;
  readonly lease: LeaseOptions;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** Makes a place for the database of that name, where the storage needs one. */
  readonly createDatabase?: (name: string) => Promise<void>;
  /** Opens the database of that name ("catalog", or a library's id). */
  readonly openDatabase: (name: string) => Database;
  /** Deletes the database of that name, where the storage can. */
  readonly dropDatabase: (name: string) => Promise<void>;
}

/** How often a node learns which libraries another node deleted or merged. */
const LOOK_EVERY_MS = 1_000;

/** Leaves libraries that are no more, deleted or merged here or on another node. */
function createDeparture(
  { clock, telemetry }: OpenCatalogOptions,
  { database, pool, names }: Ground & { readonly names: Names },
) {
  const leave = async (id: string, name: string): Promise<void> => {
    const opened = await pool.get(id);
    opened?.announce("LibraryClosed", { id, name });
    await pool.close(id);
  };
  const look = async (): Promise<void> => {
    if (pool.ids.length === 0) return;
    const sql = `SELECT id, name, CASE state WHEN 'merged' THEN merged_into END FROM libraries
      WHERE state <> 'active' AND id IN (SELECT value FROM json_each(?))`;
    const [rows = []] = await database.read([{ sql, args: [JSON.stringify(pool.ids)] }]);
    for (const [id, name, into] of rows as [string, string, string | null][]) {
      if (into === null) await leave(id, name);
      else {
        names.learn(id, into);
        // Whoever listens comes back, and to the library it went into.
        await pool.close(id);
      }
    }
  };
  const stop = clock.every(LOOK_EVERY_MS, () => {
    look().catch((error: unknown) =>
      telemetry.log("error", "Libraries that are no more could not be left.", { error }),
    );
  });
  return { leave, look, stop };
}

/** What the parts of a catalog share. */
interface Ground {
  readonly database: Database;
  readonly pool: Pool;
}

type Names = Awaited<ReturnType<typeof openNames>>;

/** The ids that libraries had before they were merged, beside the library each of them means now. */
async function openNames(database: Database) {
  const merged = await readMerged(database);
  const learn = (id: string, into: string): void => {
    // A library that comes back under its first name is that one again.
    merged.delete(into);
    merged.set(id, into);
  };
  const resolve = (id: string): string => {
    const into = merged.get(id);
    return into === undefined ? id : resolve(into);
  };
  const rename = async (id: string, into: string): Promise<void> => {
    const sql = "UPDATE libraries SET state = 'merged', merged_into = ? WHERE id = ?";
    await database.write([{ sql, args: [into, id] }]);
    learn(id, into);
  };
  /** Asks the catalog whether another node merged a library. Resolves to whether that is news. */
  const ask = async (id: string): Promise<boolean> => {
    const into = await findMerged(database, id);
    if (into === null || merged.get(id) === into) return false;
    learn(id, into);
    return true;
  };
  return { resolve, rename, learn, ask };
}

/** Opens libraries into the pool; who asks for one that is being opened waits for the same. */
function createOpening(
  options: OpenCatalogOptions,
  { database, pool, names }: Ground & { readonly names: Names },
) {
  const pending = new Map<string, Promise<Library>>();
  const start = (identity: LibraryListing): Promise<Library> =>
    pool.add(identity.id, async () => {
      const database = options.openDatabase(identity.id);
      const hold = () => pool.hold(identity.id);
      try {
        return await openLibrary({ ...options, database, identity, hold });
      } catch (error) {
        database.close();
        throw error;
      }
    });
  const openNow = (id: string): Promise<Library> => {
    const opened = pool.get(id);
    if (opened !== undefined) return opened;
    const opening =
      pending.get(id) ??
      findListing(database, id)
        .then(start)
        .finally(() => pending.delete(id));
    pending.set(id, opening);
    return opening;
  };
  const hold = async (asked: string): Promise<Held> => {
    const id = names.resolve(asked);
    const letGo = pool.hold(id);
    try {
      return { library: await openNow(id), letGo };
    } catch (error) {
      letGo();
      if (isSyncError(error, "not_found") && (await names.ask(id))) return hold(asked);
      throw error;
    }
  };
  const use: Catalog["use"] = async (id, run) => {
    const { library, letGo } = await hold(id);
    return run(library).finally(letGo);
  };
  const peek: Catalog["peek"] = async (id, run) => {
    if (pool.get(id) !== undefined) return use(id, (library) => run(library.database.read));
    // Of many that are looked into in turn, each lets everything else have one.
    await new Promise<void>((done) => options.clock.defer(done));
    await findListing(database, id);
    const closed = options.openDatabase(id);
    return run(closed.read).finally(() => closed.close());
  };
  return { hold, use, peek, open: (id: string) => use(id, async (library) => library) };
}

/** Lists libraries by what is known here or was told; looks into those that nobody told of yet. */
function createList(
  options: OpenCatalogOptions,
  parts: Pick<Catalog, "open" | "peek"> & {
    readonly database: Database;
    readonly pool: Pool;
    readonly summaries: Summaries;
  },
): Catalog["list"] {
  const { database, pool, summaries, open, peek } = parts;
  const who = { ...options.lease, clock: options.clock };
  return async (after, limit) => {
    const listed = await readListings(database, after, limit);
    const here = new Map(pool.libraries.map(({ state }) => [state.id, state]));
    const found: LibrarySummary[] = [];
    const untold: LibraryState[] = [];
    for (const { id, summary } of listed) {
      let known = here.get(id) ?? summary;
      if (known === null) {
        // A library whose creation was cut short has no tables yet; opening completes it.
        const peeked = await peek(id, (read) => readState(read, who)).catch(() => null);
        const state = peeked ?? (await open(id)).state;
        untold.push(state);
        known = state;
      }
      found.push(known);
    }
    await summaries.tell(untold);
    return found;
  };
}

export async function openCatalog(options: OpenCatalogOptions): Promise<Catalog> {
  const { clock } = options;
  await options.createDatabase?.("catalog");
  const database = options.openDatabase("catalog");
  await migrate(database, schemaOf(options.registry), clock.now());
  const summaries = createSummaries({ ...options, database });
  const pool = createPool({ ...options, onClosed: ({ state }) => summaries.tell([state]) });
  const stopTelling = summaries.watch(pool);
  const names = await openNames(database);
  const { hold, use, peek, open } = createOpening(options, { database, pool, names });
  const departure = createDeparture(options, { database, pool, names });

  return {
    database,
    create: async ({ id = createId(), name, description = null }) => {
      const listing = { id: id.toLowerCase(), name, description, createdAt: clock.now() };
      await addListing(database, listing);
      await options.createDatabase?.(listing.id);
      return open(listing.id).catch(async (error: unknown) => {
        // Its database is another library's, or there was no room to make one.
        const isRefused = isSyncError(error, "already_exists") || isSyncError(error, "overloaded");
        if (isRefused) await dropListing(database, listing.id);
        throw error;
      });
    },
    list: createList(options, { database, pool, summaries, open, peek }),
    open,
    hold,
    use,
    peek,
    remove: async (id) => {
      const { name } = await findListing(database, id);
      const sql = "UPDATE libraries SET state = 'deleted' WHERE id = ?";
      await database.write([{ sql, args: [id] }]);
      await departure.leave(id, name);
      await options.dropDatabase(id);
    },
    release: (id) => pool.close(id),
    resolve: (id) => names.resolve(id),
    look: departure.look,
    rename: async (id, into) => {
      await names.rename(id, into);
      await pool.close(id);
    },
    get openCount() {
      return pool.ids.length;
    },
    get libraries() {
      return pool.libraries;
    },
    close: async () => {
      departure.stop();
      stopTelling();
      const closed = await pool.closeAll();
      await summaries.tell(closed.map(({ state }) => state));
      database.close();
    },
  };
}
