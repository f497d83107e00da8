import type { Follower } from "../../src/follower/follower.ts";
import type { Library } from "../../src/library/library.ts";
import type { Plugin } from "../../src/resource/define.ts";
import { createWorld } from "./world.ts";
import type { World } from "./world.ts";
import type { WorldOptions } from "./world.ts";

/** A leader and a follower in one process: each a whole service with databases of its own. */
export async function createPair(
  options: WorldOptions & {
    readonly followerPlugins?: readonly Plugin[];
    readonly followerDecorate?: WorldOptions["decorate"];
  } = {},
) {
  let isCut = false;
  /** The leader reaches the phone at whatever address the phone was called by. */
  const back: { app: World["app"] | null; isSilent: boolean } = { app: null, isSilent: false };
  const leader = await createWorld({
    ...options,
    fetch: async (url, init) => {
      if (isCut || back.isSilent || back.app === null) throw new TypeError("The network is down.");
      return back.app.request(url, init);
    },
  });
  /** What stands between the two; a test may replace it to lose or change what passes. */
  const wire = { send: (url: string, init?: RequestInit) => leader.app.request(url, init) };
  const { followerPlugins, followerDecorate, ...shared } = options;
  const phoneOptions: WorldOptions = {
    ...shared,
    ...(followerPlugins === undefined ? {} : { plugins: followerPlugins }),
    ...(followerDecorate === undefined ? {} : { decorate: followerDecorate }),
    deviceId: "phone",
    fetch: async (url, init) => {
      if (isCut) throw new TypeError("The network is down.");
      return wire.send(url, init);
    },
  };
  const phone = await createWorld(phoneOptions);
  back.app = phone.app;
  const libraryId = leader.library.state.id;
  const follow = (): Promise<Follower> =>
    phone.service.following.follow({
      libraryId,
      leaderUrl: "http://leader",
      token: leader.token,
    });
  return {
    leader,
    phone,
    wire,
    libraryId,
    at: leader.at,
    follow,
    /** The phone's service ends, and another begins over the same files. */
    restartPhone: async (): Promise<World> => {
      await phone.service.stop();
      const again = await createWorld({ ...phoneOptions, directory: phone.directory });
      back.app = again.app;
      return again;
    },
    /** Only the leader cannot reach the phone. */
    silence: (isSilent: boolean) => {
      back.isSilent = isSilent;
    },
    cut: (cut: boolean) => {
      isCut = cut;
    },
    replica: (): Promise<Library> => phone.service.catalog.open(libraryId),
    [Symbol.asyncDispose]: async () => {
      await phone[Symbol.asyncDispose]();
      await leader[Symbol.asyncDispose]();
    },
  };
}

/** The log of a library, as it is stored. */
export async function logOf(library: Library, after = 0): Promise<unknown[]> {
  const sql = `SELECT sequence, epoch, transaction_id, device_id, mutation_id, timestamp_ms, domain, model_type,
    record_id, change_type, version, operation, data FROM sync_log WHERE sequence > ? ORDER BY sequence`;
  const [rows = []] = await library.database.read([{ sql, args: [after] }]);
  return rows.map((row) => [...row]);
}

/** All that travels: rows by what clients see, tombstones and checksums. */
export async function recordsOf(library: Library): Promise<Record<string, unknown[]>> {
  const tables = {
    albums: "SELECT id, version, name, description, cover_id, origin_device_id FROM albums",
    items: "SELECT id, version, album_id, file_id, position, origin_device_id FROM album_items",
    tags: "SELECT id, version, name, color FROM tags",
    files: "SELECT id, version, location_id, parent_id, name, size FROM files",
    locations: "SELECT id, version, device_id, name FROM locations",
    tombstones: "SELECT model_type, record_id, version FROM tombstones",
    checksums: "SELECT resource_type, count, sum FROM checksums WHERE count > 0",
  };
  const all: Record<string, unknown[]> = {};
  for (const [name, sql] of Object.entries(tables)) {
    const [rows = []] = await library.database.read([{ sql: `${sql} ORDER BY 1, 2`, args: [] }]);
    all[name] = rows.map((row) => [...row]);
  }
  return all;
}

export type Pair = Awaited<ReturnType<typeof createPair>>;

/** What the phone is asked for to share a library with the leader. */
export const setupRequest = (pair: Pair, type: string, leader: "phone" | "node") => ({
  local_library_id: pair.phone.library.state.id,
  remote_library_id: pair.libraryId,
  remote_url: "http://leader",
  remote_token: pair.leader.token,
  action: { type },
  leader_device_id: leader,
});

/** Jobs that still hold the other service's token. */
export async function tokensKept({ service }: World): Promise<unknown> {
  const sql = "SELECT count(*) FROM jobs WHERE input LIKE '%eyJ%'";
  const [rows = []] = await service.catalog.database.read([{ sql, args: [] }]);
  return rows[0]?.[0];
}
