import type { Codec } from "./codec.ts";
import type { StreamEvent } from "./event.ts";
import { createFrame } from "./frame.ts";
import type { Frame } from "./frame.ts";

/** The newest events of a library, as frames. Bounded by count and by encoded bytes. */
export interface Ring {
  readonly frames: readonly Frame[];
  /** Cursors before this one have to read the log. */
  readonly start: number;
  readonly head: number;
  push(events: readonly StreamEvent[], head: number): void;
  /** Keeps nothing, for while nobody listens. */
  clear(head: number): void;
}

export interface RingOptions {
  readonly head: number;
  readonly codec: Codec;
  readonly limits: { readonly ringEvents: number; readonly ringBytes: number };
}

export function createRing({ head: first, codec, limits }: RingOptions): Ring {
  let frames: Frame[] = [];
  let start = first;
  let head = first;
  let size = 0;
  const onEncoded = (length: number): void => {
    size += length;
  };

  /** How many of the oldest frames are too many; an eighth more is kept, so that few copies are made. */
  const countSurplus = (): number => {
    let count = Math.max(0, frames.length - limits.ringEvents);
    if (count <= limits.ringEvents / 8) count = 0;
    if (size <= limits.ringBytes) return count;
    let left = size;
    for (const [index, frame] of frames.entries()) {
      if (left <= limits.ringBytes * 0.875 || index === frames.length - 1) break;
      left -= frame.size;
      count = Math.max(count, index + 1);
    }
    return count;
  };

  return {
    get frames() {
      return frames;
    },
    get start() {
      return start;
    },
    get head() {
      return head;
    },
    push: (events, newHead) => {
      head = newHead;
      for (const event of events) frames.push(createFrame(event, codec, onEncoded));
      const surplus = countSurplus();
      if (surplus === 0) return;
      start = frames[surplus - 1]?.event.sequence ?? start;
      for (const frame of frames.slice(0, surplus)) size -= frame.size;
      frames = frames.slice(surplus);
    },
    clear: (newHead) => {
      frames = [];
      size = 0;
      start = newHead;
      head = newHead;
    },
  };
}

/** Where the first frame after a cursor stands. */
export function firstAfter(frames: readonly Frame[], cursor: number): number {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((frames[middle]?.event.sequence ?? 0) <= cursor) low = middle + 1;
    else high = middle;
  }
  return low;
}
