/** A typed emitter for one kind of value. Listeners run in the order they were added. */
export interface Emitter<Value> {
  readonly emit: (value: Value) => void;
  /** Adds a listener; the returned function removes it. */
  readonly on: (listener: (value: Value) => void) => () => void;
}

/** Tells each of them. What one throws is its own: it is reported, and stops neither the others nor the caller. */
export function tellAll<Value>(listeners: Iterable<(value: Value) => void>, value: Value): void {
  for (const listener of listeners) {
    try {
      listener(value);
    } catch (error) {
      const { reportError = console.error } = globalThis as Partial<typeof globalThis>;
      reportError(error);
    }
  }
}

export function createEmitter<Value>(): Emitter<Value> {
  const listeners = new Set<(value: Value) => void>();
  return {
    emit: (value) => tellAll(listeners, value),
    on: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
