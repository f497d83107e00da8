/** A map that forgets what was used longest ago once it holds more than `limit` values. */
export interface BoundedMap<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  delete(key: Key): void;
  clear(): void;
  /** Those it holds, the one used longest ago first. */
  values(): Iterable<Value>;
  readonly size: number;
}

export function createBoundedMap<Key, Value>(limit: number): BoundedMap<Key, Value> {
  const values = new Map<Key, Value>();
  return {
    get: (key) => {
      const value = values.get(key);
      if (value !== undefined) {
        values.delete(key);
        values.set(key, value);
      }
      return value;
    },
    set: (key, value) => {
      values.delete(key);
      values.set(key, value);
      if (values.size > limit) {
        for (const oldest of values.keys()) {
          values.delete(oldest);
          break;
        }
      }
    },
    delete: (key) => void values.delete(key),
    clear: () => values.clear(),
    values: () => values.values(),
    get size() {
      return values.size;
    },
  };
}
