import type { Clock } from "../base/clock.ts";
import { createFrameReader } from "../base/frames.ts";
import { problemIn, problemOf, reasonOf } from "./transport.ts";
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
}

const EVENTS_MSGPACK = "application/vnd.syncline.events+msgpack";

/** "unreadable": the bytes are not what they should be, and to resume here again may not help. */
function faultOf(error: unknown, code: "unreachable" | "unreadable"): ClientProblem {
  return problemIn(error, problemOf(code, `The stream was lost: ${reasonOf(error)}`));
}

/** Bytes to frames. `hello` says how those after it are to be read. */
function createReader({ take }: StreamOptions) {
  const cutter = createFrameReader();
  let decode = createDecoder();
  return {
    cutter,
    push: (chunk: Uint8Array): void => {
      const frames: StreamFrame[] = [];
      try {
        cutter.push(chunk, (bytes) => {
          const frame = decode(bytes);
          frames.push(frame);
          if (frame.kind !== "hello" || frame.structures === undefined) return;
          decode = createDecoder(frame.structures);
          cutter.setStructures(frame.structures);
        });
      } finally {
        take(frames);
      }
    },
  };
}

/** Follows the stream from a position until it is aborted or lost. Answers why it was; never throws. */
export async function followStream(
  options: StreamOptions,
  { after, historyId }: Position,
  signal: AbortSignal,
): Promise<ClientProblem> {
  const { clock, silenceMs, transport } = options;
  const request = new AbortController();
  signal.addEventListener("abort", () => request.abort(), { once: true });
  // While a machine sleeps often only one of them goes on.
  const times = () => [clock.monotonic(), clock.now()];
  let heard = times();
  const unwatch = clock.every(Math.min(1_000, silenceMs / 2), () => {
    if (times().some((time, at) => time - (heard[at] ?? time) > silenceMs))
      request.abort(new Error(`nothing was heard for ${silenceMs / 1_000} s`));
  });
  const { cutter, push } = createReader(options);
  const from = after === null ? {} : { after, history_id: historyId ?? undefined };
  try {
    const { body, headers } = await transport.send("events", {
      query: { records: 1, ...from },
      accept: EVENTS_MSGPACK,
      signal: request.signal,
    });
    if (body === null || headers.get("content-type") !== EVENTS_MSGPACK)
      throw new Error("the answer is no stream");
    const reader = body.getReader();
    const cancel = (): void => void reader.cancel().catch(() => {});
    request.signal.addEventListener("abort", cancel);
    if (request.signal.aborted) cancel();
    for (;;) {
      const { value, done } = await reader.read();
      request.signal.throwIfAborted();
      if (done) throw new Error(cutter.restBytes > 0 ? "cut in the middle of a frame" : "it ended");
      heard = times();
      try {
        push(value);
      } catch (error) {
        return faultOf(error, "unreadable");
      }
    }
  } catch (error) {
    return faultOf(error, "unreachable");
  } finally {
    unwatch();
    request.abort();
  }
}
