import type { Context } from "hono";
import type { Clock } from "../base/clock.ts";
import type { Room } from "../base/room.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { PIECE_BYTES, createPacedBody } from "./paced.ts";

/** The bytes of large answers, before they are compressed, by their requests. */
const sizes = new WeakMap<Request, number>();

/** Remembers how large the answer to a request is, unless it is so small that connections bound it. */
export function noteSize(request: Request, bytes: number): void {
  if (bytes > PIECE_BYTES) sizes.set(request, bytes);
}

/** The bytes of a body, no more of them at once than a slow reader may cost. */
async function* toPieces(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>)
    for (let at = 0; at < chunk.length; at += PIECE_BYTES)
      yield chunk.subarray(at, at + PIECE_BYTES);
}

/**
 * Hands a large answer over in pieces, and bounds what all of them hold until they are taken: a thousand
 * readers that stopped in the middle of a page would else fill the memory. @throws overloaded
 */
export function paceLarge(
  c: Context,
  bounds: { readonly answers: Room; readonly clock: Clock; readonly limits: Limits },
): void {
  const bytes = sizes.get(c.req.raw);
  if (bytes === undefined || c.res.body === null) return;
  if (!bounds.answers.take(bytes)) {
    const detail = "Too many large answers wait for their readers; ask again.";
    throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  }
  const pieces = toPieces(c.res.body);
  const leave = (): void => {
    bounds.answers.give(bytes);
    void pieces.return(undefined);
  };
  const next = async () => (await pieces.next()).value ?? null;
  const paced = new Response(createPacedBody({ next, leave }, bounds), c.res);
  c.res = undefined;
  c.res = paced;
}
