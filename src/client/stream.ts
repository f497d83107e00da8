import type { Clock } from "../base/clock.ts";
import { createFrameReader } from "./frames.ts";
import type { ClientProblem, Transport } from "./transport.ts";
import { createDecoder } from "./wire.ts";
import type { StreamFrame } from "./wire.ts";

/** Where a stream begins; `after` null for the head. */
export interface Position {
  readonly after: number | null;
  readonly historyId: string | null;
}

export interface StreamOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** A stream that is silent for longer is dead; the service beats every 15 s. */
  readonly silenceMs: number;
  /** The frames that a chunk completes, in order. */
  readonly take: (frames: readonly StreamFrame[]) => void;
  /** The bytes are not what they should be: to resume here again may not help. */
  readonly onGarbled: (problem: ClientProblem) => void;
}

const EVENTS_MSGPACK = "application/vnd.syncline.events+msgpack";

function faultOf(error: unknown): ClientProblem {
  const reason = error instanceof Error ? error.message : String(error);
  const detail = `The stream was lost: ${reason}`;
  return { code: "unreachable", status: 0, detail, retry: "later" };
}

/** Aborts when nothing was heard for too long, or when the outer signal does. */
function createWatch({ clock, silenceMs }: StreamOptions, signal: AbortSignal) {
  const request = new AbortController();
  const state = { heardAt: clock.monotonic(), isSilent: false };
  signal.addEventListener("abort", () => request.abort(), { once: true });
  const unwatch = clock.every(Math.min(1_000, silenceMs / 2), () => {
    state.isSilent = clock.monotonic() - state.heardAt > silenceMs;
    if (state.isSilent) request.abort();
  });
  return {
    signal: request.signal,
    hear: (): void => {
      state.heardAt = clock.monotonic();
    },
    get isSilent() {
      return state.isSilent;
    },
    end: (): void => {
      unwatch();
      request.abort();
    },
  };
}
type Watch = ReturnType<typeof createWatch>;

/** Bytes to frames. `hello` says how those after it are to be read. */
function createReader({ take, onGarbled }: StreamOptions) {
  const cutter = createFrameReader();
  let decode = createDecoder();
  return {
    push: (chunk: Uint8Array): void => {
      const frames: StreamFrame[] = [];
      try {
        cutter.push(chunk, (bytes) => {
          const frame = decode(bytes);
          frames.push(frame);
          if (frame.kind !== "hello" || frame.hello.structures === undefined) return;
          decode = createDecoder(frame.hello.structures);
          cutter.setStructures(frame.hello.structures);
        });
      } catch (error) {
        onGarbled(faultOf(error));
        throw error;
      } finally {
        take(frames);
      }
    },
    get isInside() {
      return cutter.isInside;
    },
  };
}

/** Reads until it is aborted. @throws when the stream ends by itself */
async function read(body: ReadableStream<Uint8Array>, options: StreamOptions, watch: Watch) {
  const frames = createReader(options);
  const reader = body.getReader();
  const { signal } = watch;
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}), { once: true });
  for (;;) {
    const { value, done } = await reader.read();
    if (signal.aborted) return;
    if (done) throw new Error(frames.isInside ? "cut in the middle of a frame" : "it ended");
    watch.hear();
    frames.push(value);
    if (signal.aborted) return;
  }
}

/** Follows the stream from a position until it is aborted or lost. Answers why it was; never throws. */
export async function followStream(
  options: StreamOptions,
  { after, historyId }: Position,
  signal: AbortSignal,
): Promise<ClientProblem> {
  const watch = createWatch(options, signal);
  const from = after === null ? {} : { after, history_id: historyId ?? undefined };
  try {
    const reply = await options.transport.send("events", {
      query: { records: 1, ...from },
      accept: EVENTS_MSGPACK,
      signal: watch.signal,
    });
    if (!reply.isOk) return reply.problem;
    const { body } = reply.response;
    if (body === null) return faultOf("no body");
    if (signal.aborted) void body.cancel();
    else await read(body, options, watch);
    return faultOf(
      watch.isSilent ? `nothing was heard for ${options.silenceMs / 1_000} s` : "aborted",
    );
  } catch (error) {
    return faultOf(error);
  } finally {
    watch.end();
  }
}
