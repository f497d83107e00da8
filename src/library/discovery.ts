import { readAnswer } from "../base/answer.ts";
import type { Fetch } from "../follower/upstream.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { Registry } from "../resource/registry.ts";
import type { Catalog } from "./catalog.ts";

/** What another device sees of a library before it joins. */
export interface DiscoveredLibrary {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly created_at: string;
  readonly statistics: {
    readonly total_entries: number;
    readonly total_locations: number;
    readonly total_size_bytes: number;
    readonly device_count: number;
  };
}

const PAGE = 1_000;

/** The libraries of this service that `isVisible` lets the caller see, with their sizes. */
export async function describeLibraries(
  catalog: Catalog,
  registry: Registry,
  isVisible: (libraryId: string) => boolean,
): Promise<DiscoveredLibrary[]> {
  const libraries: DiscoveredLibrary[] = [];
  const sized = registry.resources.filter(({ columns }) =>
    columns.some(({ name }) => name === "size"),
  );
  const sums = sized.map(
    ({ tableName }) => `(SELECT coalesce(sum("size"), 0) FROM "${tableName}")`,
  );
  const sql = `SELECT (SELECT coalesce(sum(count), 0) FROM checksums),
    (SELECT coalesce(sum(count), 0) FROM checksums WHERE resource_type = 'location'),
    ${["0", ...sums].join(" + ")}, (SELECT count(*) FROM devices WHERE revoked_at IS NULL)`;
  const listings = await catalog.list("", PAGE);
  for (const { id, name, description, createdAt } of listings) {
    if (!isVisible(id)) continue;
    const reading = catalog.peek(id, (read) => read([{ sql, args: [] }]));
    const found = await reading.catch((error: unknown) => {
      // Deleted since the list was read.
      if (isSyncError(error, "not_found")) return null;
      throw error;
    });
    if (found === null) continue;
    const [rows = []] = found;
    const [entries = 0, locations = 0, size = 0, devices = 0] = (rows[0] ?? []) as number[];
    libraries.push({
      id,
      name,
      description,
      created_at: new Date(createdAt).toISOString(),
      statistics: {
        total_entries: entries,
        total_locations: locations,
        total_size_bytes: size,
        device_count: devices,
      },
    });
  }
  return libraries;
}

/** Another service, as it describes itself to a device that is paired with it. */
export interface RemoteService {
  readonly deviceId: string;
  readonly deviceName: string;
  /** Its answer, for the caller to see. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A stranger's answer is waited for this long and read this far. */
const REPLY_MS = 10_000;
const REPLY_BYTES = 8_388_608;

function refuse(url: string, what: string): SyncError {
  const detail = `${url} ${what}: pair with it first, and pass its token as X-Remote-Token.`;
  return new SyncError("forbidden", { reason: "not_paired" }, { detail });
}

/**
 * Asks another service who it is and what it offers; null while it is out of reach. The token is the
 * one that service gave, never the caller's own, and follows no redirect.
 *
 * @throws forbidden when it does not let the token in, or is no such service
 */
export async function discoverRemote(
  fetch: Fetch,
  remote: {
    readonly url: string;
    readonly token: string;
    /** Asks for this one only: a service may have thousands. */
    readonly libraryId?: string;
  },
): Promise<RemoteService | null> {
  const { url, token, libraryId } = remote;
  const search = libraryId === undefined ? "" : `?library_id=${encodeURIComponent(libraryId)}`;
  const response = await fetch(`${url}/v1/sync-setup/discover${search}`, {
    headers: { authorization: `Bearer ${token}` },
    redirect: "error",
    signal: AbortSignal.timeout(REPLY_MS),
  }).catch(() => null);
  if (response === null || response.status >= 500) return null;
  if (!response.ok) throw refuse(url, `answers ${response.status}`);
  const bytes = await readAnswer(response, REPLY_BYTES).catch(() => null);
  if (bytes === null) throw refuse(url, `answers more than ${REPLY_BYTES} bytes, or breaks off`);
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    body = null;
  }
  const { device_id, device_name } = (body ?? {}) as Record<string, unknown>;
  if (typeof device_id !== "string") throw refuse(url, "is not a service like this one");
  const deviceName = typeof device_name === "string" ? device_name : device_id;
  return { deviceId: device_id, deviceName, body: body as Record<string, unknown> };
}
