/** The range of `hash48` and of sums of it: 48 bits, exact in a JavaScript number and in SQL. */
export const HASH_MASK = 0xffff_ffff_ffff;

/** A fast 48-bit hash (FNV-1a, twice, with different seeds). It finds accidents, not forgeries. */
export function hash48(text: string): number {
  let low = 0x811c9dc5;
  let high = 0x050c5d1f;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x0100_0193 + 0x2a);
  }
  return ((high >>> 16) & 0xffff) * 0x1_0000_0000 + (low >>> 0);
}
