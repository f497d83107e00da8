import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundledPlugins } from "../../plugins/index.ts";
import { mintToken } from "../../src/auth/token.ts";
import type { Grant } from "../../src/auth/capability.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { createId } from "../../src/base/id.ts";
import type { Fetch } from "../../src/follower/upstream.ts";
import { createApp } from "../../src/http/app.ts";
import type { Library } from "../../src/library/library.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import type { Limits } from "../../src/protocol/limits.ts";
import type { Plugin } from "../../src/resource/define.ts";
import { createRegistry } from "../../src/resource/registry.ts";
import { createDatabaseClient } from "../../src/runtime/file-client.ts";
import { createService } from "../../src/service.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Database } from "../../src/store/database.ts";
import type { OpenBody } from "../../src/stream/body.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { assertDescribed } from "./described.ts";

export const SECRET = "a secret that only these tests know";

export interface WorldOptions {
  readonly telemetry?: Telemetry;
  /** What `/metrics` answers. */
  readonly metrics?: () => string;
  readonly plugins?: readonly Plugin[];
  readonly limits?: Partial<Limits>;
  readonly directory?: string;
  readonly deviceId?: string;
  /** Stands between the service and a database, to make it fail. */
  readonly decorate?: (name: string, database: Database) => Database;
  /** One database server instead of files: it then holds everything. */
  readonly databaseUrl?: string;
  readonly nodeUrl?: string;
  readonly leaseMs?: number;
  /** How it reaches other nodes, and its followers their leader. */
  readonly fetch?: Fetch;
  /** How bodies of streams are opened; the standard way when left out. */
  readonly openBody?: OpenBody;
  /** How far its clock is ahead of the others'. */
  readonly aheadMs?: number | undefined;
}

export function tokenFor(
  grants: readonly Grant[],
  ttlSeconds: number | null = 600,
): Promise<string> {
  return mintToken({ secret: SECRET, subject: "tester", grants, ttlSeconds, clock: systemClock });
}

/** A service over the libSQL files of a folder. */
export function startService(options: WorldOptions & { readonly directory: string }) {
  const { directory } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const { deviceId = "node", nodeUrl = null, leaseMs = 15_000, aheadMs = 0 } = options;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  return createService({
    registry: createRegistry(options.plugins ?? bundledPlugins),
    lease: { deviceId, nodeUrl, leaseMs },
    clock,
    limits,
    telemetry: options.telemetry ?? silentTelemetry,
    metrics: options.metrics ?? (() => ""),
    secret: SECRET,
    corsOrigins: [],
    fetch: options.fetch,
    ...(options.openBody === undefined ? {} : { openBody: options.openBody }),
    // Followers are driven by hand.
    runs: () => false,
    openDatabase: (name) => {
      const database = openDatabase({
        url: options.databaseUrl ?? `file:${join(directory, name)}.db`,
        durability: "normal",
        createClient: createDatabaseClient,
        clock,
        limits,
        telemetry: options.telemetry ?? silentTelemetry,
      });
      return options.decorate?.(name, database) ?? database;
    },
    dropDatabase: async (name) => {
      for (const suffix of ["", "-wal", "-shm"]) {
        await rm(join(directory, `${name}.db${suffix}`), { force: true });
      }
    },
  });
}

/** A whole service over real libSQL files in a folder of its own, and one library in it. */
export async function createWorld(options: WorldOptions = {}) {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "syncline-")));
  const service = await startService({ ...options, directory });
  const app = createApp(service);
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const send = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const response = await app.request(path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const { status } = response;
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    const answered = (text === "" ? null : JSON.parse(text)) as any;
    assertDescribed({ method, path, status, body: answered });
    return { status, headers: response.headers, body: answered };
  };
  const library: Library = await service.catalog.create({ name: "home" });
  const at = `/v1/libraries/${library.state.id}`;
  const insertAlbum = (name: string, id: string = createId(), more: object = {}) =>
    send("POST", `${at}/commit`, {
      resource_type: "album",
      operation: "insert",
      id,
      data: { name },
      ...more,
    });
  return {
    service,
    app,
    send,
    library,
    at,
    token,
    directory,
    insertAlbum,
    /** The sequences of the log, straight from SQL. */
    sequences: async () => {
      const [rows = []] = await library.database.read([
        { sql: "SELECT sequence FROM sync_log ORDER BY sequence", args: [] },
      ]);
      return rows.map((row) => row[0] as number);
    },
    count: async (sql: string) => {
      const [rows = []] = await library.database.read([{ sql, args: [] }]);
      return rows[0]?.[0] as number;
    },
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;

export const dense = (length: number): number[] => Array.from({ length }, (_, index) => index + 1);
