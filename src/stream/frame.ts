import { Packr } from "msgpackr/pack";
import type { StreamEvent, WireEvent } from "./event.ts";

/** How a subscriber wants its frames. */
export type Format = "sse" | "sse-json" | "msgpack";

const packr = new Packr({ useRecords: false, variableMapSize: true });
const encoder = new TextEncoder();

/** Plain msgpack in memory of its own: the packer reuses its buffer. */
export function pack(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value));
}

function base64(bytes: Uint8Array): string {
  const native = bytes as Uint8Array & { toBase64?: () => string };
  if (native.toBase64 !== undefined) return native.toBase64();
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function sse(
  type: string,
  value: unknown,
  options: { format: Format; id?: number | undefined },
): Uint8Array {
  const data = options.format === "sse-json" ? JSON.stringify(value) : base64(pack(value));
  const id = options.id === undefined ? "" : `id: ${options.id}\n`;
  return encoder.encode(`${id}event: ${type}\ndata: ${data}\n\n`);
}

/** The bytes of one event. */
export function encodeEvent(event: WireEvent, format: Format): Uint8Array {
  if (format === "msgpack") return pack(event);
  return sse(event.kind.type, event, { format, id: event.envelope.sequence });
}

/** The bytes of `hello`, `heartbeat`, `reset` or `goodbye`. */
export function encodeControl(
  type: "hello" | "heartbeat" | "reset" | "goodbye",
  data: Readonly<Record<string, unknown>>,
  format: Format,
): Uint8Array {
  return format === "msgpack" ? pack({ [type]: data }) : sse(type, data, { format });
}

/** Moves a subscriber's cursor past positions that its filter leaves out. */
export function encodeSkip(sequence: number, format: Format): Uint8Array {
  return format === "msgpack" ? pack({ skip: sequence }) : encoder.encode(`id: ${sequence}\n\n`);
}

/** An event with its bytes: each encoding is made once, whoever asks. */
export interface Frame {
  readonly event: StreamEvent;
  bytes(format: Format): Uint8Array;
}

export function createFrame(event: StreamEvent): Frame {
  const made: Partial<Record<Format, Uint8Array>> = {};
  return { event, bytes: (format) => (made[format] ??= encodeEvent(event.wire, format)) };
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
