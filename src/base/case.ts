/** Names come from schemas and from strangers: kept, but never more than this many. */
const NAMES_MAX = 10_000;

function remembered(rename: (name: string) => string): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    if (known.size >= NAMES_MAX) known.clear();
    const renamed = rename(name);
    known.set(name, renamed);
    return renamed;
  };
}

/** `coverId` → `cover_id`. Names that have no capital stay as they are. */
export const toSnakeCase = remembered((name) =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
);

/** `cover_id` → `coverId`; the inverse of `toSnakeCase` for names it made. */
export const toCamelCase = remembered((name) =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
);

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
