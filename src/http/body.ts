import { Unpackr } from "msgpackr/unpack";
import type { Clock } from "../base/clock.ts";
import type { Room } from "../base/room.ts";
import { SyncError } from "../protocol/errors.ts";
import type { WireResource } from "../protocol/errors.ts";
import { batchChanges } from "../protocol/limits.ts";
import { pack } from "../stream/codec.ts";
import { joinBytes } from "../stream/frame.ts";
import { readParts } from "../stream/unpack.ts";
import { respond } from "./gzip.ts";
import { MSGPACK, accepts, encodingOf, mediaTypeOf } from "./media.ts";
import { noteSize } from "./pieces.ts";

const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });
const decoder = new TextDecoder("utf-8", { fatal: true });

function tooLarge(limitBytes: number): SyncError {
  return new SyncError(
    "body_too_large",
    { limitBytes },
    { detail: `At most ${limitBytes} bytes are allowed.` },
  );
}

function invalid(message: string, cause?: unknown): SyncError {
  return new SyncError(
    "invalid_body",
    { issues: [{ path: "", message }] },
    { detail: message, cause },
  );
}

/** A body that its sender, or the end of this node, has cut off: no fault of what was read of it. */
export function brokenOff(cause: unknown): SyncError {
  const detail = "The body broke off before its end; send it again.";
  return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail, cause });
}

interface Size {
  readonly bytes: number;
  /** What all large bodies that are in memory share. */
  readonly room?: Room;
}

/** What a body may cost. */
export interface BodyLimits extends Size {
  readonly depth: number;
  /** How long it may take to arrive; where nobody is told, the runtime's own limit ends it. */
  readonly timeout?: { readonly ms: number; readonly clock: Clock };
}

/** Bodies up to this are not counted: connections bound them. */
const SMALL_BYTES = 65_536;

/** Notes how much of a body is in memory. @throws overloaded where all bodies together are too much */
function hold(room: Room | undefined) {
  let held = 0;
  return {
    upTo: (bytes: number): void => {
      if (bytes <= SMALL_BYTES || bytes <= held) return;
      if (room?.take(bytes - held) === false) {
        const detail = "Too many large bodies arrive at once; send this one again.";
        throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
      }
      held = bytes;
    },
    end: () => room?.give(held),
  };
}

/** Reads a body until its end, or until `late` fails. */
async function collect(
  request: Request,
  { bytes: limitBytes, room, late }: Size & { readonly late?: Promise<never> },
): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared > limitBytes) throw tooLarge(limitBytes);
  const held = hold(room);
  try {
    if (declared >= 0) {
      held.upTo(declared);
      return new Uint8Array(await request.arrayBuffer());
    }
    if (request.body === null) return new Uint8Array();
    const parts: Uint8Array[] = [];
    let length = 0;
    const abort = new AbortController();
    late?.catch(() => abort.abort());
    for await (const part of readParts(request.body, abort.signal)) {
      length += part.length;
      if (length > limitBytes) throw tooLarge(limitBytes);
      held.upTo(length);
      parts.push(part);
    }
    return joinBytes(parts);
  } finally {
    held.end();
  }
}

/** Reads a body into memory, as far and as long as it may go. @throws body_too_large, invalid_body, overloaded */
export async function readBytes(
  request: Request,
  { timeout, ...size }: Size & Pick<BodyLimits, "timeout">,
): Promise<Uint8Array> {
  const toError = (error: unknown): never => {
    throw error instanceof SyncError ? error : brokenOff(error);
  };
  if (timeout === undefined) return collect(request, size).catch(toError);
  const { ms, clock } = timeout;
  const late = Promise.withResolvers<never>();
  const whole = collect(request, { ...size, late: late.promise }).catch(toError);
  const stop = clock.every(ms, () =>
    late.reject(invalid(`The body did not arrive within ${ms} ms; send it again.`)),
  );
  return Promise.race([whole, late.promise]).finally(stop);
}

/** Refuses nesting that would cost more to walk than it can be worth, and names that are no field's. */
export function assertShape(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth === 0) throw invalid("The body nests too deeply.");
  // Whoever copied such a field by assignment would give the copy another prototype.
  if (Object.hasOwn(value, "__proto__")) throw invalid('No field may be named "__proto__".');
  for (const inner of Object.values(value)) assertShape(inner, depth - 1);
}

/**
 * Refuses a list longer than any that a body may have, before anything looks at what is in it: what is
 * wrong with millions of changes fills the memory a thousand times over.
 */
function assertLists(value: object): void {
  for (const [path, list] of Object.entries(value)) {
    if (!Array.isArray(list) || list.length <= batchChanges) continue;
    const message = `At most ${batchChanges} at once, not ${list.length}.`;
    throw new SyncError("invalid_body", { issues: [{ path, message }] });
  }
}

const kept = new WeakMap<Request, Uint8Array>();

/** The bytes of a small body that a route has read, should the request have to be sent again. */
export const bytesOf = (request: Request): Uint8Array | undefined => kept.get(request);

function decode(request: Request, bytes: Uint8Array, depth: number): unknown {
  const type = mediaTypeOf(request) ?? "application/json";
  let value: unknown;
  try {
    if (type === MSGPACK) value = unpackr.unpack(bytes);
    else if (type === "application/json") value = JSON.parse(decoder.decode(bytes));
    else {
      throw invalid(`Content-Type ${type} is not understood; send application/json or ${MSGPACK}.`);
    }
  } catch (error) {
    if (error instanceof SyncError) throw error;
    if (bytes.length === 0)
      throw invalid("A body is needed, as JSON or msgpack; this one is empty.");
    throw invalid(`The body is not valid ${type === MSGPACK ? "msgpack" : "JSON"}.`, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("The body must be one object.");
  }
  assertLists(value);
  assertShape(value, depth);
  return value;
}

async function collectBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const encoding = encodingOf(request);
  if (encoding !== "identity") {
    throw invalid(`Content-Encoding ${encoding} is not understood here; send the body as it is.`);
  }
  const bytes = await readBytes(request, limits);
  kept.set(request, bytes);
  return bytes;
}

/** Reads a JSON or msgpack body by its `Content-Type`. @throws invalid_body, body_too_large */
export async function readBody(request: Request, limits: BodyLimits): Promise<unknown> {
  return decode(request, await collectBody(request, limits), limits.depth);
}

/** The same where nothing may be sent; not every runtime tells that apart before it has read it. */
export async function readOptionalBody(request: Request, limits: BodyLimits): Promise<unknown> {
  const bytes = await collectBody(request, limits);
  return bytes.length === 0 ? {} : decode(request, bytes, limits.depth);
}

/** Answers in the encoding the caller accepts, JSON by default; what is read also as gzip. */
export function answer(
  request: Request,
  body: Readonly<Record<string, unknown>> | WireResource,
  init: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly type?: string;
    /** Whether the answer may be compressed: by default when it answers a GET. */
    readonly isRead?: boolean;
  } = {},
): Response {
  const isMsgpack = accepts(request, MSGPACK);
  const headers = {
    ...init.headers,
    "content-type": isMsgpack ? MSGPACK : (init.type ?? "application/json"),
  };
  const encoded = isMsgpack ? pack(body) : JSON.stringify(body);
  const options = { status: init.status ?? 200, headers };
  noteSize(request, encoded.length);
  if (init.isRead ?? request.method === "GET") return respond(request, encoded, options);
  return new Response(encoded as BodyInit, options);
}
