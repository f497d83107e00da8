import { Unpackr } from "msgpackr/unpack";
import { createFrameReader } from "../base/frames.ts";

/**
 * Reads a sequence of msgpack values as it arrives: each time, those that have become complete, the
 * bytes that came, and how many of the next one wait. @throws when the bytes are not msgpack, behind the
 * values before them
 */
export async function* readValues(body: AsyncIterable<Uint8Array>): AsyncGenerator<{
  readonly values: unknown[];
  readonly bytes: number;
  readonly restBytes: number;
}> {
  const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });
  const cutter = createFrameReader();
  for await (const part of body) {
    const values: unknown[] = [];
    let fault: unknown = null;
    try {
      cutter.push(part, (frame) => values.push(unpackr.unpack(frame)));
    } catch (error) {
      fault = error;
    }
    yield { values, bytes: part.length, restBytes: cutter.restBytes };
    if (fault !== null) throw fault;
  }
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
