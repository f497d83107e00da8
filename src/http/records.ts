import type { Clock } from "../base/clock.ts";
import { untilSilent } from "../base/until-silent.ts";
import type { Arrival, BulkRecord } from "../commit/bulk-request.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { readValues } from "../stream/unpack.ts";
import { assertShape, brokenOff } from "./body.ts";
import { RECORDS_MSGPACK, RECORDS_NDJSON, encodingOf, mediaTypeOf } from "./media.ts";

function badRecord(message: string, cause?: unknown): SyncError {
  return new SyncError("invalid_record", { issues: [{ path: "", message }] }, { cause });
}

function badBody(message: string, cause?: unknown): SyncError {
  const issues = [{ path: "", message }];
  return new SyncError("invalid_body", { issues }, { detail: message, cause });
}

function tooLarge(limitBytes: number, what: string): SyncError {
  const detail = `${what} may have at most ${limitBytes} bytes.`;
  return new SyncError("body_too_large", { limitBytes }, { detail });
}

function toRecord(value: unknown, depth: number): BulkRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return badRecord("A record is a map of fields.");
  }
  try {
    assertShape(value, depth);
    return value as Record<string, unknown>;
  } catch (error) {
    return badRecord(error instanceof SyncError ? error.message : "Not a record.", error);
  }
}

function parseLine(line: string, depth: number): BulkRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return badRecord("The line is not valid JSON.", error);
  }
  return toRecord(value, depth);
}

/** How large and how deep a record may be. */
type RecordLimits = Pick<Limits, "recordBytes" | "nestingDepth">;

async function* readLines(
  body: AsyncIterable<Uint8Array>,
  { recordBytes, nestingDepth }: RecordLimits,
): AsyncGenerator<Arrival> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (part?: Uint8Array): string => {
    try {
      return decoder.decode(part, { stream: part !== undefined });
    } catch (error) {
      throw badBody("The body is not UTF-8 text.", error);
    }
  };
  const parse = (lines: readonly string[]): BulkRecord[] =>
    lines.filter((line) => line.trim() !== "").map((line) => parseLine(line, nestingDepth));
  // The beginning of a line; looked through once, however small the parts are that it comes in.
  let begun: string[] = [];
  let length = 0;
  for await (const part of body) {
    const text = decode(part);
    length += text.length;
    begun.push(text);
    let lines: string[] = [];
    if (text.includes("\n")) {
      lines = begun.join("").split("\n");
      begun = [lines.pop() ?? ""];
      length = begun[0]?.length ?? 0;
    }
    if (length > recordBytes * 2) throw tooLarge(recordBytes, "A record, one line of the body,");
    yield { records: parse(lines), bytes: part.length };
  }
  yield { records: parse([begun.join("") + decode()]), bytes: 0 };
}

async function* readMaps(
  body: AsyncIterable<Uint8Array>,
  { recordBytes, nestingDepth }: RecordLimits,
): AsyncGenerator<Arrival> {
  let waiting = 0;
  try {
    for await (const { values, bytes, restBytes } of readValues(body)) {
      yield { records: values.map((value) => toRecord(value, nestingDepth)), bytes };
      waiting = restBytes;
      if (waiting > recordBytes * 2) throw tooLarge(recordBytes, "A record");
    }
  } catch (error) {
    throw error instanceof SyncError
      ? error
      : badRecord("The body is not a sequence of msgpack maps.", error);
  }
  if (waiting > 0)
    yield { records: [badRecord("The body ends in the middle of a record.")], bytes: 0 };
}

/** Reads the records of a bulk body as they arrive; never the body whole. @throws invalid_body, body_too_large */
export function readRecords(
  request: Request,
  limits: RecordLimits & Pick<Limits, "bulkBodyBytes" | "bulkStallMs">,
  clock: Clock,
): AsyncIterable<Arrival> {
  const type = mediaTypeOf(request);
  if (type !== RECORDS_NDJSON && type !== RECORDS_MSGPACK) {
    throw badBody(`Send ${RECORDS_NDJSON} or ${RECORDS_MSGPACK}.`);
  }
  const encoding = encodingOf(request);
  if (!["identity", "gzip"].includes(encoding)) throw badBody("Send gzip, or no encoding.");
  const isGzip = encoding === "gzip";
  const raw = request.body ?? new ReadableStream<Uint8Array>({ start: (c) => c.close() });
  const plain = isGzip
    ? raw.pipeThrough(
        new DecompressionStream("gzip") as unknown as TransformStream<Uint8Array, Uint8Array>,
      )
    : raw;
  const ms = limits.bulkStallMs;
  const silence = () =>
    badBody(`The body sent nothing for ${ms} ms; send it again with its token.`);
  const unpacked = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* untilSilent(plain, { ms, clock, silence });
    } catch (error) {
      if (error instanceof SyncError) throw error;
      throw isGzip
        ? badBody("The gzip body is broken, or ends too early.", error)
        : brokenOff(error);
    }
  };
  const bounded = async function* (): AsyncGenerator<Uint8Array> {
    let length = 0;
    for await (const part of unpacked()) {
      length += part.length;
      if (length > limits.bulkBodyBytes) throw tooLarge(limits.bulkBodyBytes, "A bulk");
      yield part;
    }
  };
  return type === RECORDS_NDJSON ? readLines(bounded(), limits) : readMaps(bounded(), limits);
}
