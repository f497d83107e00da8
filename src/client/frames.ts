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
const frameBytesMax = 64 * 1024 * 1024;

export interface FrameReader {
  /**
   * Hands over each frame that `chunk` completes, before it looks at the next: `hello` may change how
   * the rest is read. @throws when the bytes cannot be msgpack
   */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void;
  /** How many values a record of this structure has, once `hello` told of structures. */
  setStructures(structures: readonly (readonly string[])[]): void;
  /** Whether a frame has begun and not ended: a stream that ends here was truncated. */
  readonly isInside: boolean;
}

export function createFrameReader(): FrameReader {
  let bytes = new Uint8Array(0);
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
    const first = bytes[position];
    if (first === undefined) return false;
    if (first === 0xc1) throw new Error("The stream is not msgpack.");
    const width = widths[first - 0xc0] ?? 0;
    let end = position + 1 + width;
    if (end > bytes.length) return false;
    const length = readLength(position + 1, width);
    let inner = 0;
    if (first < 0x80) inner = structures[first - 0x40]?.length ?? 0;
    else if (first < 0x90) inner = (first & 0x0f) * 2;
    else if (first < 0xa0) inner = first & 0x0f;
    else if (first < 0xc0) end += first & 0x1f;
    else if (first >= 0xdc && first <= 0xdf) inner = first < 0xde ? length : length * 2;
    else end += length + (sizes[first - 0xc0] ?? 0);
    if (end > frameBytesMax) throw new Error("A frame of the stream is too large.");
    if (end > bytes.length) return false;
    position = end;
    missing += inner - 1;
    return true;
  };

  return {
    push: (chunk, onFrame) => {
      const joined = new Uint8Array(bytes.length + chunk.length);
      joined.set(bytes);
      joined.set(chunk, bytes.length);
      bytes = joined;
      let start = 0;
      while (step()) {
        if (missing > 0) continue;
        onFrame(bytes.subarray(start, position));
        start = position;
        missing = 1;
      }
      bytes = bytes.subarray(start);
      position -= start;
    },
    setStructures: (given) => {
      structures = given;
    },
    get isInside() {
      return bytes.length > 0;
    },
  };
}
