import { createEmitter } from "../base/emitter.ts";
import type { Store } from "./api.ts";

export interface WritableStore<Value> extends Store<Value> {
  readonly set: (value: Value) => void;
}

export function createStore<Value>(initial: Value): WritableStore<Value> {
  const { emit, on } = createEmitter<Value>();
  let value = initial;
  return {
    getSnapshot: () => value,
    subscribe: on,
    set: (next) => {
      value = next;
      emit(next);
    },
  };
}
