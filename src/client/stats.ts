import { fullness } from "./eviction.ts";
import { bytesIn } from "./nodes.ts";
import type { CacheHandle } from "./cache.ts";
import type { CacheStats } from "./snapshot.ts";

/** How full the cache is and what it did; for a client `statsOf(client.cache)`. */
export function statsOf({ state }: CacheHandle): CacheStats {
  const { recordCount, queries, pending, hits, misses, evictions, limits, work } = state;
  return {
    records: recordCount,
    queries: queries.size,
    pending: pending.length,
    bytes: bytesIn(state),
    hits,
    misses,
    evictions,
    isOverBounds: fullness(state) > 1 || queries.size > limits.queries,
    work: { ...work },
  };
}
