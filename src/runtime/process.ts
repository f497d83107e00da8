import { rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Hono } from "hono";
import { bundledPlugins } from "../../plugins/index.ts";
import { reasonOf } from "../base/reason.ts";
import { createApp } from "../http/app.ts";
import { addRoutes } from "../http/beside.ts";
import type { AppEnv } from "../http/context.ts";
import type { Following } from "../library/following.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Plugin } from "../resource/define.ts";
import type { Routes } from "../routes.ts";
import type { Service, ServiceOptions } from "../service.ts";
import type { DatabaseOptions } from "../store/database.ts";
import { composeService } from "./compose.ts";
import { readConfig } from "./config.ts";
import type { Config } from "./config.ts";
import { openNode } from "./node-identity.ts";
import type { NodeIdentity } from "./node-identity.ts";
import { openTelemetry } from "./observe.ts";

/** What an application says of itself. */
export interface Application {
  readonly plugins: readonly Plugin[];
  readonly routes?: Routes | undefined;
}

export interface ServeOptions {
  readonly mode: "development" | "production";
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the working folder has (`loadApplication`), when left out. */
  readonly application?: Application;
  readonly limits?: Partial<Limits>;
}

export interface Running {
  readonly url: string;
  readonly dataDir: string | null;
  readonly secret: string | null;
  /** The libraries it follows elsewhere. */
  readonly following: Following;
  /** Goodbye to streams, commits finished, leases released. */
  stop(): Promise<void>;
}

/** @throws Error that says where the service runs instead */
export function assertRuntime(name: "Bun" | "Deno"): void {
  if (name in globalThis) return;
  const places =
    "on Bun (the command line, or syncline/bun), on Deno (syncline/deno) and on Cloudflare (syncline/worker)";
  throw new Error(`This is no ${name}: the service runs ${places}.`);
}

/** What stops a file from being loaded; of several mistakes the first, and where it stands. */
function faultOf(cause: unknown): string {
  const [first = cause] = cause instanceof AggregateError ? (cause.errors as unknown[]) : [];
  const { position } = Object(first) as {
    readonly position?: { readonly file: string; readonly line: number; readonly column: number };
  };
  if (!position) return reasonOf(first);
  const { file, line, column } = position;
  return `${reasonOf(first)} (${file}:${line}:${column})`;
}

/** What `syncline.config.ts` in the working folder exports; without that file the bundled plugins. */
export async function loadApplication(
  path: string = resolve("syncline.config.ts"),
): Promise<Application> {
  const isThere = await stat(path).then(
    () => true,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return false;
      throw new Error(`${path} cannot be read: ${reasonOf(cause)}`, { cause });
    },
  );
  if (!isThere) return { plugins: bundledPlugins };
  const loaded = await import(pathToFileURL(path).href).catch((cause: unknown) => {
    throw new Error(`${path} cannot be loaded: ${faultOf(cause)}`, { cause });
  });
  const { plugins, routes } = loaded as Partial<Application>;
  if (!Array.isArray(plugins)) throw new Error(`${path} must export an array named "plugins".`);
  if (routes !== undefined && typeof routes !== "function")
    throw new Error(`${path} must export a function as "routes", or nothing of that name.`);
  return { plugins, routes };
}

/** Files need the native client; whoever has none of them need not be able to load it. */
async function loadClient(databaseUrl: string): Promise<DatabaseOptions["createClient"]> {
  if (databaseUrl.includes("file:")) return (await import("./file-client.ts")).createDatabaseClient;
  const { createClient } = await import("@libsql/client/web");
  return (client) => createClient(client);
}

/** A service in a process of its own, ready to be put behind a port. */
export interface Opened {
  readonly service: Service;
  readonly app: Hono<AppEnv>;
  readonly config: Config;
  readonly node: NodeIdentity;
}

/** Opens the service that the environment describes. @throws Error with a sentence */
export async function openProcess(
  options: ServeOptions,
  openBody?: ServiceOptions["openBody"],
): Promise<Opened> {
  const config = readConfig(options.env);
  const { plugins, routes } = options.application ?? (await loadApplication());
  const node = await openNode(options.env);
  const { telemetry, metrics } = openTelemetry({
    level: config.LOG_LEVEL,
    isPretty: options.mode === "development",
    write: (line) => void process.stderr.write(`${line}\n`),
  });
  const service = await composeService({
    config,
    deviceId: node.deviceId,
    secret: node.secret,
    plugins,
    limits: options.limits,
    telemetry,
    metrics,
    doorOf: () => config.HOST,
    openBody,
    createClient: await loadClient(config.DATABASE_URL),
    removeFile: async (path) => {
      for (const suffix of ["", "-wal", "-shm"]) await rm(path + suffix, { force: true });
    },
  });
  const app = createApp(service);
  if (routes !== undefined) addRoutes(app, routes, { service, env: options.env });
  return { service, app, config, node };
}

/** The URL of a door. */
export const toUrl = (host: string, port: number): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`;

/** What a person sets otherwise when the door cannot be opened. */
function adviceFor(code: string | undefined, { HOST, PORT }: Config): string | null {
  if (code === "EADDRINUSE")
    return `Port ${PORT} is in use: end what listens there, or set PORT to another.`;
  if (code === "EACCES") return `Port ${PORT} may not be opened by this user: set PORT to another.`;
  if (code === "EADDRNOTAVAIL" || code === "EINVAL" || code === "ENOTFOUND")
    return `HOST is "${HOST}", but must be: an address of this machine, or 0.0.0.0 for all of them.`;
  return null;
}

/** Opens the door of a service, which ends when that fails. @throws Error that says what to set */
export async function listen<Server>(
  { service, config }: Opened,
  open: () => Server,
): Promise<Server> {
  try {
    return open();
  } catch (cause) {
    await service.stop();
    const message = adviceFor((cause as { code?: string }).code, config);
    throw message === null ? cause : new Error(message, { cause });
  }
}

/**
 * Stops at SIGTERM or SIGINT, within ten seconds, with exit code 0. Whoever asks again waits for the
 * same: a terminal and `npm` both pass the one Ctrl-C on.
 */
export function stopOnSignal(running: Running): void {
  const stop = async (): Promise<void> => {
    const late = setTimeout(() => process.exit(1), 10_000);
    await running.stop();
    clearTimeout(late);
    process.exit(0);
  };
  let stopping: Promise<void> | null = null;
  const end = (): void => void (stopping ??= stop());
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}
