import { v7, validate } from "uuid";

/** Mints a UUID (version 7: ids made later sort later, which keeps indexes dense). */
export function createId(): string {
  return v7();
}

/** Tells whether `value` is a UUID in its canonical text form. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && validate(value);
}
