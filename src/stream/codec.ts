import { Packr, RESET_BUFFER_MODE } from "msgpackr/pack";
import type { WireEvent } from "./event.ts";
import { createMatcher } from "./structures.ts";
import type { Structure } from "./structures.ts";

/** How a subscriber wants its frames; `records` is msgpack whose maps refer to shared structures. */
export type Format = "sse" | "sse-json" | "msgpack" | "records";

type ControlType = "hello" | "heartbeat" | "reset" | "goodbye";

/** Turns what a stream says into bytes. */
export interface Codec {
  /** What `records` refers to; a client receives it in `hello`. */
  readonly structures: readonly Structure[];
  encodeEvent(event: WireEvent, format: Format): Uint8Array;
  /** `id`: where a reader of SSE goes on that hears nothing after this frame. */
  encodeControl(
    type: ControlType,
    data: Readonly<Record<string, unknown>>,
    as: { readonly format: Format; readonly id?: number | undefined },
  ): Uint8Array;
  /** Moves a subscriber's cursor past positions that its filter leaves out. */
  encodeSkip(sequence: number, format: Format): Uint8Array;
}

// A field of a record may be called `toJSON`; it is data, not something to call.
const plain = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false });
const encoder = new TextEncoder();

/** Plain msgpack in memory of its own: the packer reuses its buffer. */
export function pack(value: unknown): Uint8Array {
  return new Uint8Array(plain.pack(value, RESET_BUFFER_MODE));
}

function base64(bytes: Uint8Array): string {
  const native = bytes as Uint8Array & { toBase64?: () => string };
  if (native.toBase64 !== undefined) return native.toBase64();
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Packs maps of known structures as records and all others as maps: it never learns a new one. */
function createRecordPacker(structures: readonly Structure[]): (value: unknown) => Uint8Array {
  const packr = new Packr({
    structures: structures.map((names) => [...names]),
    maxSharedStructures: structures.length,
    maxOwnStructures: 0,
    variableMapSize: true,
    useToJSON: false,
    // The declaration knows only booleans; the library asks a function for each object.
    useRecords: createMatcher(structures) as unknown as boolean,
  });
  return (value) => new Uint8Array(packr.pack(value, RESET_BUFFER_MODE));
}

/** The codec of a service whose records have these structures. */
export function createCodec(structures: readonly Structure[]): Codec {
  const packRecords = createRecordPacker(structures);
  const toSse = (
    type: string,
    value: unknown,
    { format, id }: { format: Format; id?: number | undefined },
  ): Uint8Array => {
    const data =
      format === "sse-json" ? JSON.stringify(value) : base64(plain.pack(value, RESET_BUFFER_MODE));
    const position = id === undefined ? "" : `id: ${id}\n`;
    return encoder.encode(`${position}event: ${type}\ndata: ${data}\n\n`);
  };
  return {
    structures,
    encodeEvent: (event, format) => {
      if (format === "records") return packRecords(event);
      if (format === "msgpack") return pack(event);
      return toSse(event.kind.type, event, { format, id: event.envelope.sequence });
    },
    encodeControl: (type, data, { format, id }) => {
      // `hello` brings the structures, so it is read without them.
      if (format === "records" && type !== "hello") return packRecords({ [type]: data });
      if (format === "records" || format === "msgpack") return pack({ [type]: data });
      return toSse(type, data, { format, id });
    },
    encodeSkip: (sequence, format) => {
      if (format === "records") return packRecords({ skip: sequence });
      if (format === "msgpack") return pack({ skip: sequence });
      return encoder.encode(`id: ${sequence}\n\n`);
    },
  };
}
