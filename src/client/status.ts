import type { Store, SyncStatus } from "./api.ts";
import { keep } from "./equality.ts";
import { createSignal } from "./signal.ts";
import { createStore } from "./store.ts";
import { problemOf, toError } from "./transport.ts";
import type { ClientProblem } from "./transport.ts";

export const closed: ClientProblem = problemOf("closed", "The client was closed.");

/** How the client stands, and who waits for it. */
export interface Status extends Store<SyncStatus> {
  /** Something of it may have changed. */
  refresh(): void;
  /** Fails when the client is closed before. */
  until(isReached: (now: SyncStatus) => boolean): Promise<void>;
}

export function createStatus(read: () => SyncStatus, life: { readonly isClosed: boolean }): Status {
  const { getSnapshot, subscribe, set } = createStore(read());
  let [refreshed, tell] = createSignal();
  return {
    getSnapshot,
    subscribe,
    refresh: () => {
      const now = getSnapshot();
      const next = keep(now, read());
      if (next !== now) set(next);
      tell();
      [refreshed, tell] = createSignal();
    },
    until: async (isReached) => {
      // Asked at each refresh, for it may look at more than the status says.
      while (!isReached(getSnapshot())) {
        if (life.isClosed) throw toError(closed);
        await refreshed;
      }
    },
  };
}
