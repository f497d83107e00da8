import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { bundledPlugins } from "../../plugins/index.ts";
import { systemClock } from "../base/clock.ts";
import { createApp } from "../http/app.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Plugin } from "../resource/define.ts";
import { createRegistry } from "../resource/registry.ts";
import { createService } from "../service.ts";
import { openDatabase } from "../store/database.ts";
import { openDirectBody } from "./direct-body.ts";
import { openTelemetry } from "./observe.ts";
import { readConfig } from "./config.ts";
import { createDatabaseClient } from "./file-client.ts";
import { openNode } from "./node-identity.ts";

export interface ServeOptions {
  readonly mode: "development" | "production";
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly plugins?: readonly Plugin[];
  readonly limits?: Partial<Limits>;
  /** Answers what is not of the contract, such as the demonstration's pages; null passes on. */
  readonly pages?: (request: Request) => Promise<Response> | null;
}

export interface Running {
  readonly url: string;
  readonly dataDir: string | null;
  readonly secret: string | null;
  /** Goodbye to streams, commits finished, leases released. */
  stop(): Promise<void>;
}

/** Plugins from outside this repository: `syncline.config.ts` in the working folder exports `plugins`. */
export async function loadPlugins(): Promise<readonly Plugin[]> {
  const path = resolve("syncline.config.ts");
  if (!(await Bun.file(path).exists())) return bundledPlugins;
  const { plugins } = (await import(pathToFileURL(path).href)) as { plugins?: readonly Plugin[] };
  if (!Array.isArray(plugins)) throw new Error(`${path} must export an array named "plugins".`);
  return plugins;
}

/** Starts the service on Bun. @throws Error with a sentence for a wrong configuration */
export async function serve(options: ServeOptions): Promise<Running> {
  const config = readConfig(options.env);
  const node = await openNode(options.env);
  if (node.secret === null && config.SYNCLINE_JWKS_URL === undefined) {
    throw new Error(
      "Set SYNCLINE_SECRET or SYNCLINE_JWKS_URL: without either no token can be checked.",
    );
  }
  const limits = { ...defaultLimits, ...options.limits };
  const { telemetry, metrics } = openTelemetry({
    level: config.LOG_LEVEL,
    isPretty: options.mode === "development",
  });
  const urlOf = (name: string) => config.DATABASE_URL.replaceAll("{database}", name);
  const service = await createService({
    registry: createRegistry(options.plugins ?? (await loadPlugins())),
    lease: { deviceId: node.deviceId, nodeUrl: config.NODE_URL ?? null, leaseMs: config.LEASE_MS },
    clock: systemClock,
    limits,
    telemetry,
    metrics,
    openBody: openDirectBody,
    secret: node.secret ?? undefined,
    jwksUrl: config.SYNCLINE_JWKS_URL,
    corsOrigins: config.CORS_ORIGINS.split(",")
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ""),
    openDatabase: (name) =>
      openDatabase({
        url: urlOf(name),
        authToken: config.DATABASE_AUTH_TOKEN,
        durability: config.DURABILITY,
        createClient: createDatabaseClient,
        clock: systemClock,
        limits,
        telemetry,
      }),
    dropDatabase: async (name) => {
      if (node.dataDir === null) return;
      const path = urlOf(name).slice("file:".length);
      for (const suffix of ["", "-wal", "-shm"]) await rm(path + suffix, { force: true });
    },
  });
  const app = createApp(service);
  const server = Bun.serve({
    hostname: config.HOST,
    port: config.PORT,
    maxRequestBodySize: limits.bulkBodyBytes,
    idleTimeout: Math.round(limits.bodyTimeoutMs / 1_000),
    fetch: (request, bunServer) => {
      // Streams and bulk uploads last as long as they last; their own clocks end them.
      if (/\/(events|bulk|snapshot)(\?|$)/.test(request.url)) bunServer.timeout(request, 0);
      return options.pages?.(request) ?? app.fetch(request);
    },
  });
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    const finished = server.stop(false);
    await service.stop();
    // Streams have said goodbye; their last bytes get a moment to leave.
    await Promise.race([finished, systemClock.sleep(1_000)]);
    await server.stop(true);
  };
  const url = `http://${server.hostname ?? config.HOST}:${server.port ?? config.PORT}`;
  telemetry.log("info", "Listening.", { url, databases: config.DATABASE_URL });
  return { url, dataDir: node.dataDir, secret: node.secret, stop: () => (stopping ??= stop()) };
}

/** Stops at SIGTERM or SIGINT, within ten seconds, with exit code 0. */
export function stopOnSignal(running: Running): void {
  const end = (): void => {
    const late = setTimeout(() => process.exit(1), 10_000);
    void running.stop().then(() => {
      clearTimeout(late);
      process.exit(0);
    });
  };
  process.once("SIGTERM", end);
  process.once("SIGINT", end);
}
