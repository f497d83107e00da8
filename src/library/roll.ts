import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../store/database.ts";

/** Which ids are those of devices, also of revoked ones; what was read lately is not read again. */
export interface Roll {
  has(deviceId: string): Promise<boolean>;
  /** A device was registered or put out here. */
  changed(): void;
}

const KNOWN_MAX = 10_000;
/** How long another node's registration may go unnoticed. */
const FRESH_MS = 2_000;

export function createRoll(options: { readonly database: Database; readonly clock: Clock }): Roll {
  const { database, clock } = options;
  const known = createBoundedMap<string, { readonly isDevice: boolean; readonly untilMs: number }>(
    KNOWN_MAX,
  );
  return {
    has: async (deviceId) => {
      const seen = known.get(deviceId);
      if (seen !== undefined && clock.monotonic() < seen.untilMs) return seen.isDevice;
      const sql = "SELECT 1 FROM devices WHERE id = ?";
      const [rows = []] = await database.read([{ sql, args: [deviceId] }]);
      const isDevice = rows.length > 0;
      known.set(deviceId, { isDevice, untilMs: clock.monotonic() + FRESH_MS });
      return isDevice;
    },
    changed: () => known.clear(),
  };
}
