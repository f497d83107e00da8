import { systemClock } from "../base/clock.ts";
import { reasonOf } from "../base/reason.ts";
import { isSyncError } from "../protocol/errors.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Plugin } from "../resource/define.ts";
import { createRegistry } from "../resource/registry.ts";
import { createService } from "../service.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { openDatabase } from "../store/database.ts";
import type { DatabaseOptions } from "../store/database.ts";
import { createTurns } from "../store/turns.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { isLoopback } from "./config.ts";
import type { Config } from "./config.ts";
import { createNamespaces, readDatabaseUrl, withoutToken } from "./database-url.ts";

const DAY_MS = 86_400_000;

/** What differs from runtime to runtime. */
export interface Composition {
  readonly config: Config;
  readonly deviceId: string;
  readonly secret: string | null;
  readonly plugins: readonly Plugin[];
  readonly limits?: Partial<Limits> | undefined;
  readonly telemetry: Telemetry;
  readonly metrics: () => string;
  /** Where the request's door is: the address this process listens at, or the one it was asked by. */
  readonly doorOf: (request: Request) => string;
  readonly openBody?: ServiceOptions["openBody"] | undefined;
  /** Which libraries this node follows by itself; all when left out. */
  readonly runs?: ServiceOptions["runs"];
  readonly createClient: DatabaseOptions["createClient"];
  /** Deletes a `file:` database, where there are files. */
  readonly removeFile?: (path: string) => Promise<void>;
}

/** The service of a configuration, on whatever runtime. @throws Error with a sentence */
export async function composeService(composition: Composition): Promise<Service> {
  const { config, deviceId, secret, telemetry, removeFile } = composition;
  if (secret === null && config.SYNCLINE_JWKS_URL === undefined) {
    throw new Error(
      "Set SYNCLINE_SECRET or SYNCLINE_JWKS_URL: without either no token can be checked.",
    );
  }
  // A moment that SQL takes is subtracted from, so it must be a whole number even for ever.
  const retentionMs = Math.min(config.RETENTION_DAYS * DAY_MS, Number.MAX_SAFE_INTEGER);
  const openLibraries = config.OPEN_LIBRARIES;
  const limits = { ...defaultLimits, retentionMs, openLibraries, ...composition.limits };
  const urlOf = readDatabaseUrl(config.DATABASE_URL);
  const replicaOf =
    config.DATABASE_REPLICA_URL === undefined ? null : readDatabaseUrl(config.DATABASE_REPLICA_URL);
  const adminUrl = config.DATABASE_ADMIN_URL;
  const namespaces = adminUrl === undefined ? null : createNamespaces({ adminUrl, fetch });
  const ending = new AbortController();
  const turn = createTurns(systemClock);
  return createService({
    onStopping: () => ending.abort(systemClock.monotonic()),
    registry: createRegistry(composition.plugins),
    lease: { deviceId, nodeUrl: config.NODE_URL ?? null, leaseMs: config.LEASE_MS },
    clock: systemClock,
    limits,
    telemetry,
    metrics: composition.metrics,
    hasOpenMetrics: (request) =>
      config.METRICS === undefined
        ? isLoopback(composition.doorOf(request))
        : config.METRICS === "open",
    ...(composition.openBody === undefined ? {} : { openBody: composition.openBody }),
    secret: secret ?? undefined,
    jwksUrl: config.SYNCLINE_JWKS_URL,
    corsOrigins: config.CORS_ORIGINS.split(",")
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ""),
    runs: composition.runs,
    createDatabase: async (name) => namespaces?.create(name),
    openDatabase: (name) =>
      openDatabase({
        url: urlOf(name),
        // Whom the catalog lets in is asked where it is decided.
        replicaUrl: name === "catalog" ? undefined : replicaOf?.(name),
        authToken: config.DATABASE_AUTH_TOKEN,
        durability: config.DURABILITY,
        createClient: composition.createClient,
        clock: systemClock,
        limits,
        telemetry,
        ending: ending.signal,
        turn,
      }),
    dropDatabase: async (name) => {
      const url = urlOf(name);
      // One file for all holds the catalog too, with what it revoked.
      if (url === urlOf("catalog")) return;
      await namespaces?.drop(name);
      if (url.startsWith("file:")) await removeFile?.(url.slice("file:".length));
    },
  }).catch((cause: unknown) => {
    if (!isSyncError(cause, "database_unavailable")) throw cause;
    const place = withoutToken(config.DATABASE_URL);
    throw new Error(`DATABASE_URL is "${place}": ${reasonOf(cause)}`, { cause });
  });
}
