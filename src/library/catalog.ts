import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import type { LeaseOptions } from "../lease/lease.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { allMigrations, openLibrary } from "./library.ts";
import type { Library } from "./library.ts";

/** What the catalog keeps of a library, open or not. */
export interface LibraryListing {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly createdAt: number;
}

/** All libraries of a service: the list, and the bounded pool of those that are open. */
export interface Catalog {
  readonly database: Database;
  create(input: { id?: string; name: string; description?: string | null }): Promise<Library>;
  list(after: string, limit: number): Promise<LibraryListing[]>;
  /** Opens the library when it is not open yet. @throws not_found */
  open(id: string): Promise<Library>;
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface CatalogOptions {
  readonly registry: Registry;
  readonly lease: LeaseOptions;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** Opens the database of that name ("catalog", or a library's id). */
  readonly openDatabase: (name: string) => Database;
  /** Deletes the database of that name, where the storage can. */
  readonly dropDatabase: (name: string) => Promise<void>;
}

interface Opened {
  readonly library: Promise<Library>;
  usedAt: number;
}

export async function openCatalog(options: CatalogOptions): Promise<Catalog> {
  const { clock, limits, telemetry } = options;
  const database = options.openDatabase("catalog");
  await migrate(database, allMigrations(options.registry), clock.now());
  const open = new Map<string, Opened>();

  const find = async (id: string): Promise<LibraryListing> => {
    const [rows = []] = await database.read([
      { sql: `${SELECT} WHERE id = ? AND state = 'active'`, args: [id] },
    ]);
    const [listing] = rows.map(toListing);
    if (listing !== undefined) return listing;
    throw new SyncError(
      "not_found",
      { what: `library ${id}` },
      { detail: `There is no library ${id}.` },
    );
  };
  const start = (identity: LibraryListing): Promise<Library> => {
    const opened: Opened = {
      library: openLibrary({ ...options, database: options.openDatabase(identity.id), identity }),
      usedAt: clock.monotonic(),
    };
    open.set(identity.id, opened);
    opened.library.catch(() => open.delete(identity.id));
    telemetry.gauge("open_libraries", open.size);
    return opened.library;
  };
  const closeOne = async (id: string): Promise<void> => {
    const opened = open.get(id);
    open.delete(id);
    telemetry.gauge("open_libraries", open.size);
    await opened?.library.then((library) => library.close());
  };
  /** Closes what nobody uses; past the bound, what was used longest ago. */
  const tidy = async (): Promise<void> => {
    const now = clock.monotonic();
    let surplus = open.size - limits.openLibraries;
    for (const [id, opened] of [...open].toSorted(([, a], [, b]) => a.usedAt - b.usedAt)) {
      const { hub, committer } = await opened.library;
      if (hub.size > 0 || committer.length > 0) continue;
      if (surplus <= 0 && now - opened.usedAt < limits.libraryIdleMs) continue;
      await closeOne(id);
      surplus -= 1;
    }
  };
  const stopTidying = clock.every(5_000, () => {
    tidy().catch((error: unknown) =>
      telemetry.log("error", "An idle library could not be closed.", { error }),
    );
  });
  const pending = new Map<string, Promise<Library>>();

  return {
    database,
    create: async ({ id = createId(), name, description = null }) => {
      const listing = { id: id.toLowerCase(), name, description, createdAt: clock.now() };
      try {
        await database.write([
          {
            sql: "INSERT INTO libraries (id, name, description, state, created_at) VALUES (?, ?, ?, 'active', ?)",
            args: [listing.id, name, description, listing.createdAt],
          },
        ]);
      } catch (error) {
        const [rows = []] = await database.read([
          { sql: `${SELECT} WHERE id = ?`, args: [listing.id] },
        ]);
        if (rows.length === 0) throw error;
        throw new SyncError(
          "already_exists",
          { current: null },
          { detail: `The library ${listing.id} exists.` },
        );
      }
      return start(listing);
    },
    list: async (after, limit) => {
      const [rows = []] = await database.read([
        {
          sql: `${SELECT} WHERE state = 'active' AND id > ? ORDER BY id LIMIT ?`,
          args: [after, limit],
        },
      ]);
      return rows.map(toListing);
    },
    open: (id) => {
      const opened = open.get(id);
      if (opened !== undefined) {
        opened.usedAt = clock.monotonic();
        return opened.library;
      }
      const under =
        pending.get(id) ??
        find(id)
          .then(start)
          .finally(() => pending.delete(id));
      pending.set(id, under);
      return under;
    },
    remove: async (id) => {
      const listing = await find(id);
      await database.write([
        { sql: "UPDATE libraries SET state = 'deleted' WHERE id = ?", args: [id] },
      ]);
      const opened = await open.get(id)?.library;
      opened?.announce("LibraryClosed", { id, name: listing.name });
      await closeOne(id);
      await options.dropDatabase(id);
    },
    close: async () => {
      stopTidying();
      await Promise.all([...open.keys()].map(closeOne));
      database.close();
    },
  };
}

const SELECT = "SELECT id, name, description, created_at FROM libraries";

function toListing(row: readonly unknown[]): LibraryListing {
  return {
    id: row[0] as string,
    name: row[1] as string,
    description: row[2] as string | null,
    createdAt: row[3] as number,
  };
}
