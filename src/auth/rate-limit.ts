import { assert } from "../base/assert.ts";
import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";

/** Holds each key, usually a token id, to `requestsPerSecond` after a burst of `requestBurst`. */
export interface RateLimiter {
  /** Returns 0 when the request may pass, else the whole seconds to wait, at least 1. */
  take(key: string): number;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

const bucketsMax = 10_000;

/** Remembers the 10,000 keys used last; one that was forgotten starts with a full burst. */
export function createRateLimiter(options: {
  readonly clock: Clock;
  readonly limits: Pick<Limits, "requestsPerSecond" | "requestBurst">;
}): RateLimiter {
  const { clock } = options;
  const { requestsPerSecond: rate, requestBurst: burst } = options.limits;
  assert(rate > 0 && burst >= 1, "the rate limit lets nothing pass");
  const buckets = createBoundedMap<string, Bucket>(bucketsMax);
  return {
    take: (key) => {
      const nowMs = clock.monotonic();
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = { tokens: burst, filledAtMs: nowMs };
        buckets.set(key, bucket);
      }
      const earned = ((nowMs - bucket.filledAtMs) / 1_000) * rate;
      bucket.tokens = Math.min(burst, bucket.tokens + earned);
      bucket.filledAtMs = nowMs;
      if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / rate));
      bucket.tokens -= 1;
      return 0;
    },
  };
}
