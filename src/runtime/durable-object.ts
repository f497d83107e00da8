import { createClient } from "@libsql/client/web";
import { DurableObject } from "cloudflare:workers";
import type { Hono } from "hono";
import { bundledPlugins } from "../../plugins/index.ts";
import { systemClock } from "../base/clock.ts";
import { createApp } from "../http/app.ts";
import type { AppEnv } from "../http/context.ts";
import { ACTIVE_MS, trimLog } from "../log/retention.ts";
import { SyncError, toProblem } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Plugin } from "../resource/define.ts";
import type { Service } from "../service.ts";
import { composeService } from "./compose.ts";
import { readConfig } from "./config.ts";
import { openTelemetry } from "./observe.ts";

/** The bindings of `wrangler.toml`, and the settings as variables and secrets. */
export interface WorkerEnv {
  readonly LIBRARIES: DurableObjectNamespace;
  readonly [setting: string]: unknown;
}

interface Awake {
  readonly service: Service;
  readonly app: Hono<AppEnv>;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const IDLE_CHECK_MS = 5_000;

/** The same object is the same device, whenever it wakes: it takes its own lease back at once. */
function deviceIdOf(objectId: string): string {
  const hex = objectId.slice(0, 32);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function settingsOf(env: WorkerEnv): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(entries);
}

/** A refusal may leave the body unread; reading a small one saves the client its connection. */
async function drain(request: Request): Promise<void> {
  const length = Number(request.headers.get("content-length") ?? Number.NaN);
  if (request.bodyUsed || !(length <= 65_536)) return;
  await request.arrayBuffer().catch(() => {});
}

/** Ends a stream of which only the head is asked: the platform would wait for all of it. */
async function endUnread({ method, url }: Request, response: Response): Promise<Response> {
  if (method !== "HEAD" || !/\/(events|snapshot)(\?|$)/.test(url)) return response;
  await response.body?.cancel();
  return new Response(null, response);
}

/** Whether nothing is open but copies to which nobody listens. */
function isAtRest({ catalog: { libraries, openCount } }: Service): boolean {
  const copies = libraries.filter(({ state, hub }) => state.isReplica && hub.size === 0);
  return copies.length === openCount;
}

/** An isolate has 128 MB for all that it does. */
const isolate: Partial<Limits> = {
  bodiesBytes: 33_554_432,
  answersBytes: 33_554_432,
  transactionBytes: 16_777_216,
};

/** One library, one object: the node that leads it. Its own storage keeps nothing but its name. */
export class LibraryObject extends DurableObject<WorkerEnv> {
  /** A class of yours that extends this one names its own. */
  protected readonly plugins: readonly Plugin[] = bundledPlugins;
  protected readonly limits: Partial<Limits> = {};
  private awake: Promise<Awake> | null = null;
  private isKnown = false;
  private asked = 0;
  private usedAt = 0;

  async fetch(request: Request): Promise<Response> {
    this.asked += 1;
    this.usedAt = systemClock.monotonic();
    try {
      const { app } = await this.wake();
      const response = await app.fetch(request);
      await this.remember(request, response);
      await drain(request);
      return await endUnread(request, response);
    } catch (error) {
      console.log(JSON.stringify({ level: "error", message: "No start.", error: String(error) }));
      const detail = "The service could not start; its log says why.";
      const problem = toProblem(
        new SyncError("database_unavailable", { retryAfterSeconds: 1 }, { detail }),
      );
      const headers = { "content-type": "application/problem+json", "retry-after": "1" };
      return new Response(JSON.stringify(problem), { status: problem.status, headers });
    } finally {
      this.asked -= 1;
    }
  }

  /** Once a day: what the timers of a server do while it runs, for a library that sleeps. */
  async alarm(): Promise<void> {
    const library = await this.ctx.storage.get("library");
    if (library === undefined) return;
    // First, because Cloudflare gives up an alarm that fails some times in a row.
    await this.ctx.storage.setAlarm(systemClock.now() + DAY_MS);
    this.usedAt = systemClock.monotonic();
    const { service } = await this.wake();
    const now = systemClock.now();
    await service.catalog.use(library, ({ database, state, committer }) =>
      trimLog(database, state, {
        beforeMs: now - service.limits.retentionMs,
        activeSinceMs: now - ACTIVE_MS,
        alone: (run) => committer.exclusive(run),
      }),
    );
  }

  /** Keeps the library's name, so that the alarm knows whose log to trim. */
  private async remember(request: Request, response: Response): Promise<void> {
    const isDeletion = request.method === "DELETE";
    if (!response.ok || (this.isKnown && !isDeletion)) return;
    const library = /^\/v1\/libraries\/([0-9a-f-]{36})/i.exec(new URL(request.url).pathname)?.[1];
    if (library === undefined) return;
    if (isDeletion && request.url.endsWith(library)) {
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      return;
    }
    this.isKnown = true;
    if ((await this.ctx.storage.get("library")) !== undefined) return;
    await this.ctx.storage.put("library", library.toLowerCase());
    await this.ctx.storage.setAlarm(systemClock.now() + DAY_MS);
  }

  private wake(): Promise<Awake> {
    this.awake ??= this.start().catch((error: unknown) => {
      this.awake = null;
      throw error;
    });
    return this.awake;
  }

  private async start(): Promise<Awake> {
    const config = readConfig(settingsOf(this.env));
    if (config.DATABASE_URL.includes("file:")) {
      throw new Error(
        `DATABASE_URL is "${config.DATABASE_URL}", but Cloudflare keeps no files: it must be a libsql:, https: or wss: URL.`,
      );
    }
    const { telemetry, metrics } = openTelemetry({
      level: config.LOG_LEVEL,
      isPretty: false,
      write: (line) => console.log(line),
    });
    const service = await composeService({
      config,
      deviceId: deviceIdOf(this.ctx.id.toString()),
      secret: config.SYNCLINE_SECRET ?? null,
      plugins: this.plugins,
      telemetry,
      metrics,
      // Cloudflare finds the Worker by this name, so that nobody can make one up.
      doorOf: ({ url }) => new URL(url).hostname,
      limits: { ...isolate, ...this.limits },
      // Each library is followed by its own object, while that is awake.
      runs: (library) => String(this.env.LIBRARIES.idFromName(library)) === String(this.ctx.id),
      createClient: (client) => createClient(client),
    });
    // An object that nobody asks anything gives its lease back, follows no more and stops its timers: while
    // one is set, Cloudflare does not let it sleep.
    const stopChecking = systemClock.every(IDLE_CHECK_MS, () => {
      const isIdle = systemClock.monotonic() - this.usedAt > service.limits.libraryIdleMs;
      if (this.asked > 0 || !isIdle || !isAtRest(service)) return;
      stopChecking();
      this.awake = null;
      const rest = async (): Promise<void> => {
        await service.stop();
        const library = await this.ctx.storage.get("library");
        telemetry.log("debug", "The object rests.", { library_id: library });
      };
      rest().catch((error: unknown) =>
        telemetry.log("error", "The object did not rest.", { error }),
      );
    });
    return { service, app: createApp(service) };
  }
}
