/**
 * Cuts a bare msgpack sequence into frames without decoding it: a frame may arrive in any number of
 * pieces, is never decoded twice, and one that cannot be decoded does not take the next one along.
 *
 * The scan needs no stack. `missing` counts the values still to come: a map of n entries adds 2n, a
 * scalar subtracts itself, and at zero the frame ends.
 *
 * @module
 */

/** By a first byte from 0xc0 to 0xdf: how many bytes of it say a length, and how many follow besides. */
const widths = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
];
const sizes = [
  0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0,
];

/** More than any frame the service sends; past it the stream is not ours. */
const frameBytesMax = 128 * 1024 * 1024;

export interface FrameReader {
  /**
   * Hands over each frame that `chunk` completes, before it looks at the next: `hello` may change how
   * the rest is read. @throws when the bytes cannot be msgpack
   */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void;
  /** How many values a record of this structure has, once `hello` told of structures. */
  setStructures(structures: readonly (readonly string[])[]): void;
  /** Bytes of a frame that has begun and not ended: a stream that ends here was truncated. */
  readonly restBytes: number;
}

export function createFrameReader(): FrameReader {
  /** What has arrived of a frame, and room for more of it. */
  let bytes = new Uint8Array(0);
  let filled = 0;
  let position = 0;
  let missing = 1;
  let structures: readonly (readonly string[])[] = [];

  const readLength = (at: number, width: number): number => {
    let length = 0;
    for (let index = 0; index < width; index += 1) length = length * 256 + (bytes[at + index] ?? 0);
    return length;
  };

  /** Steps over one value's own bytes. False when they have not all arrived. */
  const step = (): boolean => {
    if (position === filled) return false;
    const first = bytes[position] ?? 0;
    if (first === 0xc1) throw new Error("The stream is not msgpack.");
    const width = widths[first - 0xc0] ?? 0;
    let end = position + 1 + width;
    if (end > filled) return false;
    const length = readLength(position + 1, width);
    let inner = 0;
    if (first < 0x80) inner = structures[first - 0x40]?.length ?? 0;
    else if (first < 0x90) inner = (first & 0x0f) * 2;
    else if (first < 0xa0) inner = first & 0x0f;
    else if (first < 0xc0) end += first & 0x1f;
    else if (first >= 0xdc && first <= 0xdf) inner = first < 0xde ? length : length * 2;
    else end += length + (sizes[first - 0xc0] ?? 0);
    if (end > frameBytesMax) throw new Error("A frame of the stream is too large.");
    if (end > filled) return false;
    position = end;
    missing += inner - 1;
    return true;
  };

  return {
    push: (chunk, onFrame) => {
      const length = filled + chunk.length;
      if (length > bytes.length) {
        // Twice as much, so that a large frame is not copied with each of its pieces.
        const grown = new Uint8Array(2 * length);
        grown.set(bytes.subarray(0, filled));
        bytes = grown;
      }
      bytes.set(chunk, filled);
      filled = length;
      let start = 0;
      while (step()) {
        if (missing > 0) continue;
        onFrame(bytes.subarray(start, position));
        start = position;
        missing = 1;
      }
      // What was handed over stays as it is, and nobody keeps the room that a large frame took.
      if (start > 0) bytes = bytes.slice(start, filled);
      filled -= start;
      position -= start;
    },
    setStructures: (given) => {
      structures = given;
    },
    get restBytes() {
      return filled;
    },
  };
}
