import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import { readState } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import type { Schema } from "../store/migrate.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { coreMigrations } from "../store/migrations.ts";

/** What makes a database one library's: written when the database is new. */
export interface LibraryIdentity {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
}

/** The migrations of the core and of every plugin that brings its own; then each table has its columns. */
export function schemaOf(registry: Registry): Schema {
  const migrations: Record<string, string> = { ...coreMigrations };
  for (const plugin of registry.plugins) {
    for (const [tag, sql] of Object.entries(plugin.migrations ?? {})) {
      migrations[`plugin/${plugin.name}/${tag}`] = sql;
    }
  }
  const checks = registry.resources.map(({ sql }) => ({ sql: sql.page, args: ["", 0] }));
  return { migrations, checks };
}

/** Brings the database up to date, and gives it its identity when it is new. */
export async function prepareLibrary(options: {
  readonly database: Database;
  readonly registry: Registry;
  readonly lease: { readonly deviceId: string };
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly identity: LibraryIdentity;
}): Promise<LibraryState> {
  const { database, identity, clock, lease, registry } = options;
  const timing = options.telemetry.time("library.prepare");
  const migrations = await migrate(database, schemaOf(registry), clock.now());
  if (migrations.length > 0) timing?.end({ library_id: identity.id, migrations });
  const who = { deviceId: lease.deviceId, clock };
  const known = await readState(database.read, who);
  if (known !== null) {
    assertSame(known, identity);
    return known;
  }
  await database.write([
    {
      sql: `INSERT INTO library (id, name, description, history_id, head, epoch, lease_expires_at, oldest_sequence,
        created_at) SELECT ?, ?, ?, ?, 0, 0, 0, 1, ? WHERE NOT EXISTS (SELECT 1 FROM library)`,
      args: [identity.id, identity.name, identity.description, createId(), clock.now()],
    },
  ]);
  const state = await readState(database.read, who);
  if (state === null) throw new Error("Bug: a library without its row");
  assertSame(state, identity);
  return state;
}

/** One database is one library: two in it would take each other's commits. @throws already_exists */
function assertSame(state: LibraryState, { id }: LibraryIdentity): void {
  if (state.id === id) return;
  const detail = `The database of the library ${id} holds the library ${state.id}: DATABASE_URL must name another, as it does with {database} in it.`;
  throw new SyncError("already_exists", { current: null }, { detail });
}
