import type { Fetch } from "./client-world.ts";

/** A small generator (mulberry32), so that a seed is a whole run. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const problem = (status: number, code: string, headers: Record<string, string> = {}): Response =>
  Response.json(
    { code, status, detail: code, retry: status >= 429 ? "later" : "never" },
    { status, headers },
  );

/** Passes a stream on and cuts it after some bytes, wherever that is. */
function cutAfter(body: ReadableStream<Uint8Array>, bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { value, done } = await reader.read();
      if (done || left <= 0) {
        void reader.cancel();
        controller.close();
        return;
      }
      controller.enqueue(value.subarray(0, left));
      left -= value.length;
    },
    cancel: () => reader.cancel(),
  });
}

/** Flips one byte of a stream, which then is not what was sent. */
function garble(body: ReadableStream<Uint8Array>, at: number): ReadableStream<Uint8Array> {
  let seen = 0;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        const copy = chunk.slice();
        const index = at - seen;
        if (index >= 0 && index < copy.length) copy[index] = (copy[index] ?? 0) ^ 0xff;
        seen += chunk.length;
        controller.enqueue(copy);
      },
    }),
  );
}

/**
 * A network that lies until it heals: requests and replies get lost, answers come late, streams are
 * cut in the middle of a frame, garbled, or begin before the cursor so that events come twice.
 */
export function createLyingFetch(direct: Fetch, random: () => number) {
  const network = { isHealed: false, isDown: false, faultCount: 0 };
  const chance = (share: number): boolean => {
    const isHit = !network.isHealed && random() < share;
    if (isHit) network.faultCount += 1;
    return isHit;
  };
  const lost = (): never => {
    throw new TypeError("The network lost it.");
  };
  const fetch: Fetch = async (url, init) => {
    if (network.isDown) lost();
    if (chance(0.1)) await new Promise((resolve) => setTimeout(resolve, random() * 30));
    if (chance(0.06)) lost();
    if (chance(0.03)) return problem(503, "overloaded", { "retry-after": "0" });
    if (chance(0.03)) return problem(429, "rate_limited", { "retry-after": "0" });
    if (chance(0.03)) return problem(401, "unauthorized");
    const isStream = url.includes("/events");
    if (isStream && chance(0.03)) return problem(410, "cursor_expired");
    const asked = new URL(url);
    const after = Number(asked.searchParams.get("after") ?? 0);
    if (isStream && after > 0 && chance(0.3))
      asked.searchParams.set("after", String(Math.max(0, after - Math.floor(random() * 20))));
    const response = await direct(String(asked), init);
    if (!isStream && chance(0.1)) {
      await response.arrayBuffer();
      lost();
    }
    if (response.body === null || !isStream || network.isHealed) return response;
    if (chance(0.5)) {
      const body = cutAfter(response.body, Math.floor(200 + random() * 4_000));
      return new Response(body, response);
    }
    if (chance(0.1)) return new Response(garble(response.body, 300 + random() * 1_000), response);
    return response;
  };
  return { network, fetch };
}
