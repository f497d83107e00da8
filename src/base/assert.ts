/** Checks what only a bug can break. Input is never checked with it. @throws Error */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Bug: ${message}`);
}

/** Marks a branch that the types rule out. @throws Error */
export function unreachable(value: never): never {
  throw new Error(`Bug: unexpected ${JSON.stringify(value)}`);
}
