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

/** What may go wrong, and how often: the share of the requests that it can strike. */
const shares = {
  late: 0.1,
  requestLost: 0.06,
  overloaded: 0.03,
  rateLimited: 0.03,
  unauthorized: 0.03,
  /** Somebody else answers, as the portal of a hotel does. */
  portal: 0.03,
  replyLost: 0.1,
  /** Of streams alone, from here on. */
  expired: 0.03,
  doubled: 0.3,
  cut: 0.5,
  garbled: 0.1,
};
export type Fault = keyof typeof shares;
export const everyFault = Object.keys(shares) as readonly Fault[];

/**
 * A network that lies until it heals: requests and replies get lost, answers come late, streams are
 * cut in the middle of a frame, garbled, or begin before the cursor so that events come twice. What is
 * `due` strikes at the first occasion, whatever chance says, and is then taken out.
 */
export function createLyingFetch(direct: Fetch, random: () => number, due: Set<Fault>) {
  const network = { isHealed: false };
  const strikes = (fault: Fault): boolean =>
    !network.isHealed && (due.delete(fault) || random() < shares[fault]);
  const lost = (): never => {
    throw new TypeError("The network lost it.");
  };
  const refusal = (): Response | null => {
    if (strikes("overloaded")) return problem(503, "overloaded", { "retry-after": "0" });
    if (strikes("rateLimited")) return problem(429, "rate_limited", { "retry-after": "0" });
    if (strikes("unauthorized")) return problem(401, "unauthorized");
    const status = [200, 403, 404, 500][Math.floor(random() * 4)] ?? 200;
    return strikes("portal") ? new Response("<p>Welcome to the hotel</p>", { status }) : null;
  };
  const stream = async (asked: URL, init: RequestInit): Promise<Response> => {
    if (strikes("expired")) return problem(410, "cursor_expired");
    const after = Number(asked.searchParams.get("after") ?? 0);
    if (after > 0 && strikes("doubled"))
      asked.searchParams.set("after", String(Math.max(0, after - 1 - Math.floor(random() * 20))));
    const response = await direct(String(asked), init);
    const { body } = response;
    if (body === null) return response;
    if (strikes("cut"))
      return new Response(cutAfter(body, Math.floor(200 + random() * 4_000)), response);
    if (strikes("garbled")) return new Response(garble(body, 300 + random() * 1_000), response);
    return response;
  };
  const fetch: Fetch = async (url, init) => {
    if (strikes("late")) await new Promise((resolve) => setTimeout(resolve, random() * 30));
    if (strikes("requestLost")) lost();
    const refused = refusal();
    if (refused !== null) return refused;
    if (url.includes("/events")) return stream(new URL(url), init);
    const response = await direct(url, init);
    if (!strikes("replyLost")) return response;
    await response.arrayBuffer();
    return lost();
  };
  return { network, fetch };
}
