/** A typed emitter for one kind of value. Listeners run in the order they were added. */
export interface Emitter<Value> {
  readonly emit: (value: Value) => void;
  /** Adds a listener; the returned function removes it. */
  readonly on: (listener: (value: Value) => void) => () => void;
}

export function createEmitter<Value>(): Emitter<Value> {
  const listeners = new Set<(value: Value) => void>();
  return {
    emit: (value) => {
      for (const listener of listeners) listener(value);
    },
    on: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
