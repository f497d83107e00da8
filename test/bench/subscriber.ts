/**
 * A subscriber over a raw socket: it undoes the chunked encoding, finds the frames and their
 * sequences, and reads nothing else of them.
 *
 * @module
 */
import { encodeHead, type Target } from "./socket.ts";

export interface Subscriber {
  /** The highest sequence that arrived. */
  readonly sequence: number;
  /** Frames that carried a sequence. */
  readonly frameCount: number;
  readonly byteCount: number;
  close(): void;
}

export interface SubscriberOptions {
  readonly target: Target;
  /** Events after this sequence, or only what comes when null. */
  readonly after: number | null;
  /** A subscriber that does not read stops at the head of the answer. */
  readonly isReading: boolean;
  readonly onFrame?: (sequence: number) => void;
}

const FRAME_END = Buffer.from("\n\n");
const HEAD_END = "\r\n\r\n";
const ID = Buffer.from("\nid: ");
const HELLO = Buffer.from("event: hello");
const NEWLINE = 10;
const ZERO = 48;

/** The number of the frame's `id:` line, 0 when it has none or greets. */
function readSequence(bytes: Buffer, from: number, end: number): number {
  const frame = bytes.subarray(from, end);
  const startsWithId = frame[0] === ID[1] && frame[1] === ID[2] && frame[2] === ID[3];
  const line = startsWithId ? -1 : frame.indexOf(ID);
  if (line < 0 && !startsWithId) return 0;
  let sequence = 0;
  for (let at = line + ID.length; at < frame.length; at += 1) {
    const digit = (frame[at] ?? ZERO) - ZERO;
    if (digit < 0 || digit > 9) break;
    sequence = sequence * 10 + digit;
  }
  return frame.indexOf(HELLO) < 0 ? sequence : 0;
}

/** Passes on the payload of a chunked body, in whatever pieces it came. */
function createUnchunker(onPayload: (bytes: Buffer) => void): (bytes: Buffer) => void {
  let size = "";
  let remaining = 0;
  let skip = 0;
  return (bytes) => {
    let at = 0;
    while (at < bytes.length) {
      if (skip > 0) {
        const skipped = Math.min(skip, bytes.length - at);
        skip -= skipped;
        at += skipped;
      } else if (remaining > 0) {
        const end = Math.min(at + remaining, bytes.length);
        onPayload(bytes.subarray(at, end));
        remaining -= end - at;
        at = end;
        if (remaining === 0) skip = 2;
      } else {
        const newline = bytes.indexOf(NEWLINE, at);
        const end = newline < 0 ? bytes.length : newline;
        size += bytes.toString("latin1", at, end);
        at = end + 1;
        if (newline >= 0) {
          remaining = Number.parseInt(size, 16);
          size = "";
        }
      }
    }
  };
}

/** Resolves when the server has sent the head of its answer and, to a reader, its first frame. */
export async function openSubscriber(options: SubscriberOptions): Promise<Subscriber> {
  const { target, after, isReading, onFrame } = options;
  const ready = Promise.withResolvers<void>();
  const state = { sequence: 0, frameCount: 0, byteCount: 0 };
  let head = "";
  let isBody = false;
  let rest: Buffer | null = null;

  const unchunk = createUnchunker((payload) => {
    const bytes: Buffer = rest === null ? payload : Buffer.concat([rest, payload]);
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(FRAME_END, from);
      if (end < 0) break;
      const sequence = readSequence(bytes, from, end);
      if (sequence > 0) {
        state.frameCount += 1;
        state.sequence = sequence;
        onFrame?.(sequence);
      }
      from = end + FRAME_END.length;
    }
    rest = from < bytes.length ? bytes.subarray(from) : null;
    ready.resolve();
  });
  const query = after === null ? "" : `?after=${after}`;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: target.port,
    socket: {
      data: (socket, bytes) => {
        state.byteCount += bytes.length;
        if (isBody) return unchunk(bytes);
        head += bytes.toString("latin1");
        const headEnd = head.indexOf(HEAD_END);
        if (headEnd < 0) return;
        isBody = true;
        if (!head.startsWith("HTTP/1.1 200")) ready.reject(new Error(head.slice(0, 500)));
        if (isReading) return unchunk(Buffer.from(head.slice(headEnd + HEAD_END.length), "latin1"));
        socket.pause();
        ready.resolve();
      },
      close: () => ready.reject(new Error("the stream closed before its first frame")),
      error: (_, error) => ready.reject(error),
    },
  });
  const line = `GET /v1/libraries/${target.library}/events${query}`;
  socket.write(encodeHead(target, line, ["Accept: text/event-stream"]));
  await ready.promise;
  return Object.assign(state, { close: () => socket.terminate() });
}
