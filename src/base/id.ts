import { v5, v7, validate } from "uuid";

/** Mints a UUID (version 7: ids made later sort later, which keeps indexes dense). */
export function createId(): string {
  return v7();
}

/** The same UUID (version 5) for the same URL, always and everywhere. */
export function deriveId(url: string): string {
  return v5(url, v5.URL);
}

/** Tells whether `value` is a UUID in its canonical text form. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && validate(value);
}
