import type { Random } from "./random.ts";
import type { Owner, VirtualTime } from "./time.ts";

/** How often the network misbehaves; all zero is a perfect one. */
interface NetworkFaults {
  dropRequest: number;
  dropAnswer: number;
  duplicate: number;
  delayMs: number;
}

/** Someone who answers requests. */
interface Host {
  readonly owner: Owner;
  readonly answer: (request: Request) => Promise<Response>;
}

/** Links between named hosts that lose, repeat, delay and cut what they carry. */
export interface Network {
  readonly faults: NetworkFaults;
  attach(name: string, host: Host): void;
  detach(name: string): void;
  /** Fetch as `from` would do it: `http://{host}/…`. */
  fetchFrom(
    from: string,
    owner: Owner,
  ): (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Cuts what passes between two hosts, open streams included. */
  cut(one: string, other: string): void;
  heal(): void;
}

/** How long a caller waits for the head of an answer. */
const CALL_MS = 20_000;

/** A call or a stream that is under way. */
interface OpenStream {
  readonly ends: readonly [string, string];
  readonly fail: () => void;
}

export function createNetwork(options: {
  readonly time: VirtualTime;
  readonly random: Random;
}): Network {
  const { time, random } = options;
  const hosts = new Map<string, Host>();
  const cuts = new Set<string>();
  const streams = new Set<OpenStream>();
  const faults: NetworkFaults = { dropRequest: 0, dropAnswer: 0, duplicate: 0, delayMs: 0 };
  const link = (one: string, other: string): string => [one, other].toSorted().join("|");
  const refuse = (what: string): TypeError => new TypeError(`The simulation ${what}.`);
  const failStreams = (isHit: (stream: OpenStream) => boolean): void => {
    for (const stream of streams) if (isHit(stream)) stream.fail();
  };

  /** Carries the body on, until the link is cut or an end is gone. */
  const carry = (response: Response, ends: readonly [string, string]): Response => {
    if (response.body === null) return response;
    const reader = response.body.getReader();
    let stream: OpenStream | null = null;
    const leave = (): void => {
      if (stream !== null) streams.delete(stream);
    };
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          stream = {
            ends,
            fail: () => {
              leave();
              void reader.cancel().catch(() => {});
              controller.error(refuse("cut this stream"));
            },
          };
          streams.add(stream);
        },
        pull: async (controller) => {
          const { done, value } = await reader.read();
          if (stream === null || !streams.has(stream)) return;
          if (!done) return controller.enqueue(value);
          leave();
          controller.close();
        },
        cancel: () => {
          leave();
          return reader.cancel();
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body, response);
  };

  const fetchFrom: Network["fetchFrom"] = (from, owner) => async (input, init) => {
    const request = new Request(input, init);
    const to = new URL(request.url).hostname;
    const clock = time.clockOf(owner);
    const pass = async (): Promise<Host> => {
      if (faults.delayMs > 0) await clock.sleep(random.below(faults.delayMs));
      const host = hosts.get(to);
      if (host === undefined || cuts.has(link(from, to))) throw refuse("has no way there");
      return host;
    };
    const host = await pass();
    if (random.chance(faults.dropRequest)) throw refuse("lost this request");
    const isRepeatable = request.method === "POST" && request.body !== null;
    const twin = isRepeatable && random.chance(faults.duplicate) ? request.clone() : null;
    const lost = Promise.withResolvers<never>();
    request.signal.addEventListener("abort", () => lost.reject(refuse("saw this call given up")));
    void clock.sleep(CALL_MS).then(() => lost.reject(refuse("lost patience")));
    const call = { ends: [from, to] as const, fail: () => lost.reject(refuse("cut this call")) };
    streams.add(call);
    const response = await Promise.race([host.answer(request), lost.promise]).finally(() =>
      streams.delete(call),
    );
    if (twin !== null) void host.answer(twin).catch(() => {});
    if ((await pass()) !== host) throw refuse("lost who answered");
    if (random.chance(faults.dropAnswer)) {
      await response.body?.cancel().catch(() => {});
      throw refuse("lost this answer");
    }
    return carry(response, [from, to]);
  };
  return {
    faults,
    fetchFrom,
    attach: (name, host) => void hosts.set(name, host),
    detach: (name) => {
      hosts.delete(name);
      failStreams(({ ends }) => ends.includes(name));
    },
    cut: (one, other) => {
      cuts.add(link(one, other));
      failStreams(({ ends }) => ends.includes(one) && ends.includes(other));
    },
    heal: () => cuts.clear(),
  };
}
