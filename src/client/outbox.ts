import type { Clock } from "../base/clock.ts";
import type { MutationHandle, MutationSnapshot, RejectedMutation } from "./api.ts";
import type { Cache } from "./cache.ts";
import { createOfflineQueue } from "./offline-queue.ts";
import { sendMutation, toOverlay } from "./mutation.ts";
import type { MutationRequest, QueuedMutation, Receipt, Settlement } from "./mutation.ts";
import type { Persistence } from "./persistence.ts";
import type { ClientRules } from "./rules.ts";
import { createStore } from "./store.ts";
import type { WritableStore } from "./store.ts";
import { toError } from "./transport.ts";
import type { ClientProblem, Transport } from "./transport.ts";

export type OutboxMessage =
  | { readonly kind: "queued"; readonly mutation: QueuedMutation }
  | {
      readonly kind: "settled";
      readonly mutation: QueuedMutation;
      readonly settlement: Settlement;
    }
  | { readonly kind: "discarded"; readonly id: string };

export interface OutboxOptions {
  readonly cache: Cache;
  readonly rules: ClientRules;
  readonly persistence: Persistence;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  readonly createId: () => string;
  readonly post: (message: OutboxMessage) => void;
  readonly onChange: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** Writes of this tab and, mirrored, of the others: each shown at once, kept until its fate is known. */
export interface Outbox {
  mutate(request: MutationRequest): MutationHandle;
  /** What is on disk, behind which this session's own writes come. */
  restore(stored: readonly QueuedMutation[]): void;
  receive(message: OutboxMessage): void;
  setActive(isActive: boolean): void;
  /** Resolves when everything is on disk that can be. */
  flush(): Promise<void>;
  close(): void;
  readonly pendingCount: number;
  readonly rejected: readonly RejectedMutation[];
}

interface Waiter {
  readonly store: WritableStore<MutationSnapshot>;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: Error) => void;
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { cache, rules, persistence, transport } = options;
  const waiters = new Map<string, Waiter>();
  const saving = new Map<
    string,
    { readonly mutation: QueuedMutation; readonly saved: Promise<void> }
  >();
  let rejected: readonly RejectedMutation[] = [];

  const settleHere = (mutation: QueuedMutation, settlement: Settlement): void => {
    const { id } = mutation;
    const waiter = waiters.get(id);
    waiters.delete(id);
    if (settlement.kind === "committed") {
      const { receipt, records } = settlement;
      cache.confirm(id, receipt.sequence, records);
      const { sequence, output } = receipt;
      waiter?.store.set({ state: "committed", sequence, output });
      waiter?.resolve(receipt);
    } else {
      const { problem } = settlement;
      cache.reject(id);
      setAside({ ...mutation, problem });
      waiter?.store.set({ state: "rejected", problem });
      waiter?.reject(toError(problem));
    }
    options.onChange();
  };

  const queue = createOfflineQueue({
    ...options,
    send: (mutation) => sendMutation(transport, mutation),
    onSending: (id) => waiters.get(id)?.store.set({ state: "sent" }),
    onSettled: async (mutation, settlement) => {
      settleHere(mutation, settlement);
      // The others are told before the disk forgets: whoever takes over finds one or the other.
      options.post({ kind: "settled", mutation, settlement });
      await store(
        settlement.kind === "committed"
          ? persistence.dropMutation(mutation.id)
          : persistence.putMutation({ ...mutation, problem: settlement.problem }),
      );
    },
  });

  const store = (work: Promise<void>): Promise<boolean> =>
    work.then(
      () => true,
      (error: unknown) => {
        options.onFailure(error);
        return false;
      },
    );

  const release = (id: string): void => {
    rejected = rejected.filter(({ mutationId }) => mutationId !== id);
    options.onChange();
  };

  const discard = (id: string): void => {
    release(id);
    options.post({ kind: "discarded", id });
    void store(persistence.dropMutation(id));
  };

  const setAside = (mutation: QueuedMutation): void => {
    const { id, problem, request } = mutation;
    if (problem === undefined) return;
    const one: RejectedMutation = {
      mutationId: id,
      problem,
      retry: () => {
        release(id);
        submit({ id, request });
      },
      discard: () => discard(id),
    };
    rejected = [...rejected.filter(({ mutationId }) => mutationId !== id), one];
  };

  const save = async (mutation: QueuedMutation): Promise<void> => {
    const isDurable = await store(persistence.putMutation(mutation));
    saving.delete(mutation.id);
    if (isDurable) waiters.get(mutation.id)?.store.set({ state: "queued" });
    queue.add(mutation);
    options.post({ kind: "queued", mutation });
    options.onChange();
  };

  const submit = (mutation: QueuedMutation): MutationHandle => {
    cache.mutate(toOverlay(mutation, rules));
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
    promise.catch(() => {});
    const state = createStore<MutationSnapshot>({ state: "saving" });
    waiters.set(mutation.id, { store: state, resolve, reject });
    saving.set(mutation.id, { mutation, saved: save(mutation) });
    options.onChange();
    const { id, request } = mutation;
    const { getSnapshot, subscribe } = state;
    const recordId = request.kind === "commit" ? { recordId: request.change.id } : {};
    return { id, ...recordId, getSnapshot, subscribe, done: promise };
  };

  /** Shown here although it was made elsewhere. */
  const adopt = (mutation: QueuedMutation): void => {
    release(mutation.id);
    if (queue.waiting.some(({ id }) => id === mutation.id)) return;
    cache.mutate(toOverlay(mutation, rules));
    queue.add(mutation);
  };

  return {
    mutate: (request) => submit({ id: options.createId(), request }),
    restore: (stored) => {
      const own = [...queue.waiting, ...Array.from(saving.values(), ({ mutation }) => mutation)];
      const known = new Set(own.map(({ id }) => id));
      const waiting = stored.filter(({ id, problem }) => problem === undefined && !known.has(id));
      for (const one of stored) setAside(one);
      // Older ones come first in the overlay too.
      if (waiting.length > 0)
        cache.batch(() => {
          for (const { id } of own) cache.reject(id);
          for (const one of [...waiting, ...own]) cache.mutate(toOverlay(one, rules));
        });
      queue.restore(waiting);
      options.onChange();
    },
    receive: (message) => {
      if (message.kind === "queued") adopt(message.mutation);
      else if (message.kind === "discarded") release(message.id);
      else {
        queue.remove(message.mutation.id);
        settleHere(message.mutation, message.settlement);
      }
      options.onChange();
    },
    setActive: (isActive) => queue.setActive(isActive),
    flush: async () => void (await Promise.all(Array.from(saving.values(), ({ saved }) => saved))),
    close: () => {
      queue.setActive(false);
      const detail = "The client was closed. What is queued is sent when it is opened again.";
      const problem: ClientProblem = { code: "closed", status: 0, detail, retry: "later" };
      for (const { reject } of waiters.values()) reject(toError(problem));
      waiters.clear();
    },
    get pendingCount() {
      return queue.waiting.length + saving.size;
    },
    get rejected() {
      return rejected;
    },
  };
}
