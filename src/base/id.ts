import { v5 } from "uuid";

let last = 0;

/**
 * Mints a UUID (version 7: ids made later sort later, which keeps indexes dense). Its time counts
 * parts of a millisecond, so that the ids of one process rise however fast they are made.
 */
export function createId(): string {
  last = Math.max(last + 1, Date.now() * ticks);
  const time = hex(Math.floor(last / ticks), 12);
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint32Array(2));
  const tail = hex((a % 2 ** 30) + 2 ** 31, 8) + hex(b, 8);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(last % ticks, 3)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

/** Steps of a millisecond; with more the time would soon be no safe integer. */
const ticks = 1_024;

const hex = (value: number, length: number): string => value.toString(16).padStart(length, "0");

/** The same UUID (version 5) for the same URL, always and everywhere. */
export function deriveId(url: string): string {
  return v5(url, v5.URL);
}

/** Tells whether `value` is a UUID in its canonical text form, of whatever version. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value);
}
