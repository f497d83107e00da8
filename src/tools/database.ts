import { existsSync } from "node:fs";
import { systemClock } from "../base/clock.ts";
import { isId } from "../base/id.ts";
import { allMigrations } from "../library/prepare.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import { readConfig } from "../runtime/config.ts";
import { readDatabaseUrl } from "../runtime/database-url.ts";
import { createDatabaseClient } from "../runtime/file-client.ts";
import { openDatabase } from "../store/database.ts";
import type { Database } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import { silentTelemetry } from "../telemetry/telemetry.ts";
import { pickLibrary } from "./connect.ts";
import { CommandError } from "./errors.ts";

const urlOf = (name: string): string => readDatabaseUrl(readConfig(process.env).DATABASE_URL)(name);

function open(url: string): Database {
  const config = readConfig(process.env);
  return openDatabase({
    url,
    authToken: config.DATABASE_AUTH_TOKEN,
    durability: config.DURABILITY,
    createClient: createDatabaseClient,
    clock: systemClock,
    limits: defaultLimits,
    telemetry: silentTelemetry,
  });
}

/** Opens the database of that name itself, whether the service runs or not. @throws CommandError */
export function openNamed(name: string): Database {
  const url = urlOf(name);
  const path = url.startsWith("file:") ? url.slice("file:".length) : null;
  // To open a file that is not there would make it.
  if (path === null || existsSync(path)) return open(url);
  throw new CommandError(
    `There is no ${path}; run this in the folder of the service, or set DATABASE_URL as it has it.`,
  );
}

/** Opens the catalog, which may be new: then it gets its tables. */
export async function openCatalogDatabase(registry: Registry): Promise<Database> {
  const catalog = open(urlOf("catalog"));
  await migrate(catalog, allMigrations(registry), systemClock.now());
  return catalog;
}

/** Resolves to the id of the library that is meant, by the catalog. @throws CommandError when that is not clear */
export async function findLibrary(wanted?: string): Promise<string> {
  if (isId(wanted)) return wanted.toLowerCase();
  const catalog = openNamed("catalog");
  try {
    const sql = "SELECT id, name FROM libraries WHERE state = 'active' ORDER BY id";
    const [rows = []] = await catalog.read([{ sql, args: [] }]);
    const libraries = rows.map(([id, name]) => ({ id: id as string, name: name as string }));
    return pickLibrary(libraries, wanted);
  } finally {
    catalog.close();
  }
}
