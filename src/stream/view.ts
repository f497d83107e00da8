import { createBoundedMap } from "../base/bounded-map.ts";
import type { Codec, Format } from "./codec.ts";
import { joinBytes } from "./frame.ts";
import type { Frame } from "./frame.ts";
import { firstAfter } from "./ring.ts";

/** Frames that cover the positions up to `end`. */
export interface Source {
  readonly frames: readonly Frame[];
  readonly end: number;
}

/** Bytes that bring a cursor to `end`. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly end: number;
}

/** The library as everyone sees it who asked for the same encoding and the same types. */
export interface View {
  /** What follows a cursor, up to a limit. Equal cursors share one chunk: a thousand at the head cost one. */
  chunkAfter(cursor: number, source: Source): Chunk;
}

export interface ViewOptions {
  readonly format: Format;
  readonly types: ReadonlySet<string> | null;
  readonly codec: Codec;
  readonly chunkBytes: number;
}

function createView({ format, types, codec, chunkBytes }: ViewOptions): View {
  const build = (cursor: number, { frames, end }: Source): Chunk => {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let sent = cursor;
    let position = cursor;
    let at = firstAfter(frames, cursor);
    for (; at < frames.length && bytes < chunkBytes; at += 1) {
      const frame = frames[at];
      if (frame === undefined) break;
      position = frame.event.sequence;
      if (types !== null && !types.has(frame.event.type)) continue;
      // What a filter or the log left out before it, or this event would look like a gap.
      const start = position - (frame.event.wire.envelope.span ?? 1);
      if (sent < start) parts.push(codec.encodeSkip(start, format));
      const made = frame.bytes(format);
      parts.push(made);
      bytes += made.length;
      sent = position;
    }
    if (at >= frames.length) position = end;
    // Positions that were left out become one id-only frame.
    if (sent < position) parts.push(codec.encodeSkip(position, format));
    return { bytes: joinBytes(parts), end: position };
  };

  // Any chunk after a cursor is good, whether it came from the ring or the log.
  let last: Chunk & { readonly after: number; readonly of: number } = {
    bytes: new Uint8Array(0),
    end: -1,
    after: -1,
    of: -1,
  };
  return {
    chunkAfter: (cursor, source) => {
      if (last.after !== cursor || last.of !== source.end) {
        last = { ...build(cursor, source), after: cursor, of: source.end };
      }
      return last;
    },
  };
}

/** Views that new subscribers may still join; others go on with whom they have. */
const VIEWS_KEPT = 64;

/** The views in use, by encoding and types. */
export function createViews(options: Pick<ViewOptions, "codec" | "chunkBytes">) {
  const views = createBoundedMap<string, View>(VIEWS_KEPT);
  return (format: Format, types: ReadonlySet<string> | null): View => {
    const key = types === null ? format : `${format}:${[...types].toSorted().join()}`;
    const known = views.get(key);
    if (known !== undefined) return known;
    const view = createView({ ...options, format, types });
    views.set(key, view);
    return view;
  };
}
