import { Unpackr } from "msgpackr/unpack";
import { joinBytes } from "./frame.ts";

/** All complete values of a buffer, and where the first incomplete one begins. */
function unpackAll(unpackr: Unpackr, bytes: Uint8Array): { values: unknown[]; end: number } {
  const values: unknown[] = [];
  try {
    unpackr.unpackMultiple(bytes as Buffer, (value: unknown) => void values.push(value));
    return { values, end: bytes.length };
  } catch (error) {
    const fault = error as { incomplete?: boolean; lastPosition?: number; values?: unknown[] };
    if (fault.incomplete !== true) throw error;
    return {
      values: values.length > 0 ? values : (fault.values ?? []),
      end: fault.lastPosition ?? 0,
    };
  }
}

/**
 * Reads a sequence of msgpack values as it arrives: each time, those that have become complete, the
 * bytes that came, and how many of the next one wait. A value of more than `largeBytes` may be noticed
 * when a fifth more has come, or at the end. @throws when the bytes are not msgpack
 */
export async function* readValues(
  body: AsyncIterable<Uint8Array>,
  largeBytes = Infinity,
): AsyncGenerator<{
  readonly values: unknown[];
  readonly bytes: number;
  readonly restBytes: number;
}> {
  const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });
  let parts: Uint8Array[] = [];
  let length = 0;
  let looked = 0;
  let bytes = 0;
  const look = () => {
    const joined = joinBytes(parts);
    const { values, end } = unpackAll(unpackr, joined);
    const rest = joined.slice(end);
    parts = [rest];
    looked = length = rest.length;
    const found = { values, bytes, restBytes: length };
    bytes = 0;
    return found;
  };
  for await (const part of body) {
    parts.push(part);
    length += part.length;
    bytes += part.length;
    if (looked < largeBytes || length > looked * 1.2) yield look();
  }
  if (length > looked) yield look();
}

/** The parts of a body until it ends or the signal says so; a fetch that ignores the signal is left too. */
export async function* readParts(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel);
  // It may have been given up before the answer was here.
  if (signal.aborted) cancel();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
