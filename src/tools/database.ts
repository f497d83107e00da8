import { systemClock } from "../base/clock.ts";
import { defaultLimits } from "../protocol/limits.ts";
import { readConfig } from "../runtime/config.ts";
import { readDatabaseUrl } from "../runtime/database-url.ts";
import { createDatabaseClient } from "../runtime/file-client.ts";
import { openDatabase } from "../store/database.ts";
import type { Database } from "../store/database.ts";
import { silentTelemetry } from "../telemetry/telemetry.ts";

/** Opens the database of that name itself, whether the service runs or not. */
export function openNamed(name: string): Database {
  const config = readConfig(process.env);
  return openDatabase({
    url: readDatabaseUrl(config.DATABASE_URL)(name),
    authToken: config.DATABASE_AUTH_TOKEN,
    durability: config.DURABILITY,
    createClient: createDatabaseClient,
    clock: systemClock,
    limits: defaultLimits,
    telemetry: silentTelemetry,
  });
}
