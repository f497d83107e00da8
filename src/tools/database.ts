import { existsSync } from "node:fs";
import type { Transaction } from "@libsql/client";
import { systemClock } from "../base/clock.ts";
import { isId } from "../base/id.ts";
import { schemaOf } from "../library/prepare.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import { readConfig } from "../runtime/config.ts";
import { readDatabaseUrl } from "../runtime/database-url.ts";
import { createDatabaseClient } from "../runtime/file-client.ts";
import { openDatabase, toRows } from "../store/database.ts";
import type { Database, Read } from "../store/database.ts";
import { troubleOf } from "../store/failure.ts";
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

/** The address of the database of that name. @throws CommandError when it is a file that is not there */
export function addressOf(name: string): string {
  const url = urlOf(name);
  const path = url.startsWith("file:") ? url.slice("file:".length) : null;
  // To open a file that is not there would make it.
  if (path === null || existsSync(path)) return url;
  throw new CommandError(
    `There is no ${path}; run this in the folder of the service, or set DATABASE_URL as it has it.`,
  );
}

/** Opens the database of that name itself, whether the service runs or not. @throws CommandError */
export const openNamed = (name: string): Database => open(addressOf(name));

/** Reads a database as it is at one moment, whatever is written meanwhile. @throws CommandError when it is damaged */
export async function readAtOnce<Result>(
  url: string,
  use: (read: Read) => Promise<Result>,
): Promise<Result> {
  const { DATABASE_AUTH_TOKEN: authToken } = readConfig(process.env);
  // Every command would start later for it.
  const { createClient } = await import("@libsql/client");
  const client = createClient({ url, ...(authToken === undefined ? {} : { authToken }) });
  let moment: Transaction | null = null;
  try {
    const reading = (moment = await client.transaction("read"));
    return await use(async (statements) =>
      (await reading.batch([...statements])).map((result) => toRows(result)),
    );
  } catch (error) {
    const trouble = troubleOf(error);
    throw trouble === null ? error : new CommandError(trouble, { cause: error });
  } finally {
    moment?.close();
    client.close();
  }
}

/** Opens the catalog, which may be new: then it gets its tables. */
export async function openCatalogDatabase(registry: Registry): Promise<Database> {
  const catalog = open(urlOf("catalog"));
  await migrate(catalog, schemaOf(registry), systemClock.now());
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
