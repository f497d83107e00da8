/** Bytes of records that are read, sent or stored at once, because a thousand may be half a gigabyte. */
export const PAGE_BYTES = 4_194_304;

/** The characters of a value as JSON, each escape counted as one. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 24;
  let size = 2;
  for (const key in value) size += key.length + 4 + sizeOf((value as Record<string, unknown>)[key]);
  return size;
}
