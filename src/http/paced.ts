import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";

/** Bytes that are handed over at once; a runtime keeps a copy of them for a reader that is slow. */
export const PIECE_BYTES = 65_536;

export interface PacedSource {
  /** What comes next; null at the end. */
  readonly next: () => Promise<Uint8Array | null>;
  /** Called once: at the end, when what comes next fails, or when nobody takes it. */
  readonly leave: () => void;
}

/** A body that is made as fast as its reader takes it, who may not take none for long: something is held meanwhile. */
export function createPacedBody(
  { next, leave }: PacedSource,
  { clock, limits }: { readonly clock: Clock; readonly limits: Limits },
): ReadableStream<Uint8Array> {
  let stopWaiting = (): void => {};
  const end = (): void => {
    stopWaiting();
    leave();
  };
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      stopWaiting();
      const piece = await next().catch((error: unknown) => {
        leave();
        throw error;
      });
      if (piece === null) {
        leave();
        return controller.close();
      }
      controller.enqueue(piece);
      stopWaiting = clock.every(limits.slowReaderMs, () => {
        end();
        controller.error(new Error("Nobody took what came next; go on from there."));
      });
    },
    cancel: end,
  });
}
