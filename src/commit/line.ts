import { errorTable, isSyncError } from "../protocol/errors.ts";
import type { SyncError } from "../protocol/errors.ts";

/**
 * The place of a mutation in a line of them, each its own transaction. One that gets no answer now ends
 * the line: none behind it may take effect, for it may rest on what that one was to do.
 */
export interface Place {
  /** @throws what one before this was told when the line ended there */
  assertGoesOn(): void;
  /** Told of the error that the mutation gets. A refusal is an answer, and ends nothing. */
  failed(error: unknown): void;
}

/** True for an error that stays the mutation's answer, however often it is sent. */
export function isRefusal(error: unknown): error is SyncError {
  return isSyncError(error) && errorTable[error.code].retry === "never";
}

/** A line; what it answers makes the place at an index of it. */
export function createLine(): (at: number) => Place {
  let end: { readonly at: number; readonly error: unknown } = { at: Infinity, error: null };
  return (at) => ({
    assertGoesOn: () => {
      if (end.at < at) throw end.error;
    },
    failed: (error) => {
      if (at < end.at && !isRefusal(error)) end = { at, error };
    },
  });
}
