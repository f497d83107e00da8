import { createBoundedMap } from "./bounded-map.ts";

const snakes = createBoundedMap<string, string>(10_000);
const camels = createBoundedMap<string, string>(10_000);

/** `coverId` → `cover_id`. Names that have no capital stay as they are. */
export function toSnakeCase(name: string): string {
  const known = snakes.get(name);
  if (known !== undefined) return known;
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  snakes.set(name, snake);
  return snake;
}

/** `cover_id` → `coverId`; the inverse of `toSnakeCase` for names it made. */
export function toCamelCase(name: string): string {
  const known = camels.get(name);
  if (known !== undefined) return known;
  const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  camels.set(name, camel);
  return camel;
}

/** Renames the keys of one object, not of those inside it: what lies deeper is the plugin's own. */
export function renameKeys(
  record: Readonly<Record<string, unknown>>,
  rename: (name: string) => string,
): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const key of Object.keys(record)) {
    // Assigned, it would be the prototype of what is returned.
    if (key !== "__proto__") renamed[rename(key)] = record[key];
  }
  return renamed;
}
