import type { MutationHandle, MutationSnapshot } from "./api.ts";
import type { QueuedMutation, Receipt, Settlement } from "./mutation.ts";
import { createStore } from "./store.ts";
import type { WritableStore } from "./store.ts";
import { toError } from "./transport.ts";
import type { ClientProblem } from "./transport.ts";

/** The handles that this tab gave out: each tells the fate of its mutation. */
export interface Handles {
  open(mutation: QueuedMutation): MutationHandle;
  tell(id: string, state: "queued" | "sent"): void;
  settle(id: string, settlement: Settlement): void;
  /** Nobody will hear more here. */
  close(problem: ClientProblem): void;
}

interface Waiter {
  readonly store: WritableStore<MutationSnapshot>;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: Error) => void;
}

export function createHandles(): Handles {
  const waiters = new Map<string, Waiter>();
  return {
    open: ({ id, request }) => {
      const store = createStore<MutationSnapshot>({ state: "saving" });
      const done = new Promise<Receipt>((resolve, reject) => {
        waiters.set(id, { store, resolve, reject });
      });
      done.catch(() => {});
      const { getSnapshot, subscribe } = store;
      const recordId = request.kind === "commit" ? { recordId: request.change.id } : {};
      return { id, ...recordId, getSnapshot, subscribe, done };
    },
    tell: (id, state) => waiters.get(id)?.store.set({ state }),
    settle: (id, settlement) => {
      const waiter = waiters.get(id);
      if (waiter === undefined) return;
      waiters.delete(id);
      if (settlement.kind === "committed") {
        const { receipt } = settlement;
        const { sequence, output } = receipt;
        waiter.store.set({ state: "committed", sequence, output });
        waiter.resolve(receipt);
      } else {
        const { problem } = settlement;
        waiter.store.set({ state: "rejected", problem });
        waiter.reject(toError(problem));
      }
    },
    close: (problem) => {
      for (const { reject } of waiters.values()) reject(toError(problem));
      waiters.clear();
    },
  };
}
