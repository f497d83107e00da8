import { createRateLimiter } from "./auth/rate-limit.ts";
import type { RateLimiter } from "./auth/rate-limit.ts";
import { createRevocations } from "./auth/revocations.ts";
import type { Revocations } from "./auth/revocations.ts";
import { createNodeCredentials } from "./auth/node-credential.ts";
import type { NodeCredentials } from "./auth/node-credential.ts";
import { createTickets } from "./auth/tickets.ts";
import type { Tickets } from "./auth/tickets.ts";
import { nodeSubject } from "./auth/capability.ts";
import { createTokenVerifier, mintToken } from "./auth/token.ts";
import type { TokenRequest } from "./auth/token.ts";
import type { TokenVerifier } from "./auth/token.ts";
import { createRoom } from "./base/room.ts";
import type { Room } from "./base/room.ts";
import type { Fetch } from "./follower/upstream.ts";
import { openCatalog } from "./library/catalog.ts";
import type { Catalog, CatalogOptions } from "./library/catalog.ts";
import { createSetup } from "./library/setup.ts";
import type { Setup } from "./library/setup.ts";
import { createFollowing } from "./library/following.ts";
import type { Following, FollowingOptions } from "./library/following.ts";
import { SyncError } from "./protocol/errors.ts";
import { openStandardBody } from "./stream/body.ts";
import type { OpenBody } from "./stream/body.ts";
import { createUpstream } from "./library/upstream.ts";

/** The parts of a running service, joined. */
export interface Service extends CatalogOptions {
  readonly catalog: Catalog;
  readonly following: Following;
  readonly verifier: TokenVerifier;
  readonly revocations: Revocations;
  readonly tickets: Tickets;
  readonly rateLimiter: RateLimiter;
  readonly corsOrigins: readonly string[];
  readonly openBody: OpenBody;
  /** Prometheus text. */
  readonly metrics: () => string;
  /** Whether a request may see the figures without a token: they name libraries and their heads. */
  readonly hasOpenMetrics: (request: Request) => boolean;
  /** How nodes that share a secret trust each other; null when they share none. */
  readonly credentials: NodeCredentials | null;
  /** The memory that large bodies share while they arrive. */
  readonly bodies: Room;
  /** The memory that large answers share until they are taken. */
  readonly answers: Room;
  readonly fetch: Fetch;
  /** Signs a token of this service; null when another issuer makes them. */
  readonly mint: ((token: TokenRequest) => Promise<string>) | null;
  /** Merges of libraries, as jobs. */
  readonly setup: Setup;
  /** Resolves when the service can commit. @throws database_unavailable */
  ready(): Promise<void>;
  /** True from the call of `stop` on. */
  isStopping(): boolean;
  /** Says goodbye to streams, finishes commits, gives leases back. */
  stop(): Promise<void>;
}

export interface ServiceOptions extends CatalogOptions, Omit<FollowingOptions, "catalog"> {
  readonly secret?: string | undefined;
  readonly jwksUrl?: string | undefined;
  readonly corsOrigins: readonly string[];
  /** How the runtime opens the body of a stream; the standard way when left out. */
  readonly openBody?: OpenBody;
  readonly metrics: () => string;
  /** Called when the service is to stop, before it waits for anything. */
  readonly onStopping?: () => void;
  /** Closed to all without a token when left out. */
  readonly hasOpenMetrics?: (request: Request) => boolean;
}

/** How often a node learns what other nodes revoked. */
const REVOCATION_POLL_MS = 2_000;
/** A service that was merged follows for good; revoking its device ends that. */
const INVITED_SECONDS = 10 * 365 * 86_400;

/** Lets another device's service follow a library here, for whoever uses it there. */
const createInvite = (mint: NonNullable<Service["mint"]>) => (deviceId: string, library: string) =>
  mint({
    subject: nodeSubject(deviceId),
    grants: [{ library, role: "writer" }],
    ttlSeconds: INVITED_SECONDS,
  });

/** What was revoked, here or on another node, as the catalog's database keeps it. */
async function openRevocations(options: ServiceOptions, { database }: Catalog) {
  const { clock, telemetry } = options;
  const revocations = createRevocations({
    clock,
    load: async (sinceMs) => {
      const sql = "SELECT kind, value, revoked_at FROM revocations WHERE revoked_at >= ?";
      const [rows = []] = await database.read([{ sql, args: [sinceMs] }]);
      return rows.map(([kind, value, revokedAtMs]) => ({
        kind: kind as "token" | "subject",
        value: value as string,
        revokedAtMs: revokedAtMs as number,
      }));
    },
    save: async ({ kind, value, revokedAtMs }) => {
      const sql = "INSERT OR REPLACE INTO revocations (kind, value, revoked_at) VALUES (?, ?, ?)";
      await database.write([{ sql, args: [kind, value, revokedAtMs] }]);
    },
  });
  await revocations.refresh();
  const stop = clock.every(REVOCATION_POLL_MS, () => {
    revocations
      .refresh()
      .catch((error: unknown) =>
        telemetry.log("error", "Revocations could not be read.", { error }),
      );
  });
  return { ...revocations, stop };
}

/** Writes to the catalog, and asks the open libraries how their writes do. @throws database_unavailable */
async function assertReady(
  { lease, clock }: ServiceOptions,
  { database, libraries }: Catalog,
): Promise<void> {
  const sql = `INSERT INTO nodes (device_id, url, seen_at) VALUES (?, ?, ?)
    ON CONFLICT (device_id) DO UPDATE SET url = excluded.url, seen_at = excluded.seen_at`;
  await database.write([{ sql, args: [lease.deviceId, lease.nodeUrl, clock.now()] }]);
  const stuck = libraries.filter(({ leadership }) => leadership.isStuck());
  if (stuck.length === 0) return;
  const ids = stuck.map(({ state }) => state.id).join(", ");
  const detail = `These libraries' databases do not answer writes: ${ids}.`;
  throw new SyncError("database_unavailable", { retryAfterSeconds: 1 }, { detail });
}

/** Builds the service from its parts; `http/app.ts` puts the routes before it. */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { clock, limits, telemetry } = options;
  const credentials =
    options.secret === undefined
      ? null
      : createNodeCredentials({ secret: options.secret, clock: options.clock });
  const reach: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const { deviceId } = options.lease;
  const openUpstream = createUpstream({ credentials, fetch: reach, deviceId });
  const catalog = await openCatalog({ ...options, openUpstream });
  const following = createFollowing({ ...options, catalog });
  await following.look();
  const { secret } = options;
  const mint: Service["mint"] =
    secret === undefined ? null : (token) => mintToken({ ...token, secret, clock });
  const invite = mint === null ? null : createInvite(mint);
  const setup = createSetup({ ...options, catalog, following, fetch: reach, invite });
  await setup.resume();
  const revocations = await openRevocations(options, catalog);
  let isStopping = false;
  const verifier = createTokenVerifier({
    clock,
    limits,
    isRevoked: (capability) => revocations.isRevoked(capability),
    onKeysAway: (error) =>
      telemetry.log("error", "The server that holds the token keys does not answer.", { error }),
    ...(options.secret === undefined ? {} : { secret: options.secret }),
    ...(options.jwksUrl === undefined ? {} : { jwksUrl: options.jwksUrl }),
  });
  return {
    ...options,
    openBody: options.openBody ?? openStandardBody,
    hasOpenMetrics: options.hasOpenMetrics ?? (() => false),
    catalog,
    following,
    credentials,
    bodies: createRoom(limits.bodiesBytes),
    answers: createRoom(limits.answersBytes),
    fetch: reach,
    mint,
    setup,
    verifier,
    revocations,
    tickets: createTickets({ clock, limits }),
    rateLimiter: createRateLimiter({ clock, limits }),
    ready: () => assertReady(options, catalog),
    isStopping: () => isStopping,
    stop: async () => {
      isStopping = true;
      options.onStopping?.();
      revocations.stop();
      await setup.stop();
      await following.stop();
      await catalog.close();
    },
  };
}
