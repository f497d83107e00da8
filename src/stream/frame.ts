import type { Codec, Format } from "./codec.ts";
import type { StreamEvent } from "./event.ts";

/** An event with its bytes: each encoding is made once, whoever asks. */
export interface Frame {
  readonly event: StreamEvent;
  bytes(format: Format): Uint8Array;
  /** Bytes of all encodings made so far. */
  readonly size: number;
}

/** `onEncoded` learns how much each encoding adds, so that a ring can bound its bytes. */
export function createFrame(
  event: StreamEvent,
  codec: Codec,
  onEncoded: (length: number) => void = () => {},
): Frame {
  const made = new Map<Format, Uint8Array>();
  let size = 0;
  return {
    event,
    bytes: (format) => {
      const known = made.get(format);
      if (known !== undefined) return known;
      const bytes = codec.encodeEvent(event.wire, format);
      made.set(format, bytes);
      size += bytes.length;
      onEncoded(bytes.length);
      return bytes;
    },
    get size() {
      return size;
    },
  };
}

/** Joins frames into one chunk. A single frame is not copied. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
