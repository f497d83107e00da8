/** Names one question: the same name and input always give the same `text` (CACHE-06). */
export interface QueryKey {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Lossless and stable under the order of properties, so that it can be stored. */
  readonly text: string;
}

function sorted(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries);
}

/** Properties that are undefined do not count: they do not travel either. */
export function toQueryKey(name: string, input: Readonly<Record<string, unknown>> = {}): QueryKey {
  return { name, input, text: `${name}:${JSON.stringify(input, sorted)}` };
}
