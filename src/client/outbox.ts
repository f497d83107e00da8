import type { Clock } from "../base/clock.ts";
import type { MutationHandle, RejectedMutation } from "./api.ts";
import type { Cache } from "./cache.ts";
import { createHandles } from "./handles.ts";
import type { Handles } from "./handles.ts";
import { createOfflineQueue } from "./offline-queue.ts";
import type { OfflineQueue } from "./offline-queue.ts";
import { sendMutations, toOverlay } from "./mutation.ts";
import type { MutationRequest, QueuedMutation, Settlement } from "./mutation.ts";
import type { Keeper } from "./persistence.ts";
import type { ClientRules } from "./rules.ts";
import { closed } from "./status.ts";
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
  readonly keeper: Pick<Keeper, "putMutations" | "dropMutations">;
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
  readonly restore: (stored: readonly QueuedMutation[]) => void;
  readonly receive: (message: OutboxMessage) => void;
  setActive(isActive: boolean): void;
  /** Resolves when everything is on disk that can be. */
  flush(): Promise<void>;
  close(): void;
  readonly pendingCount: number;
  readonly rejected: readonly RejectedMutation[];
}

type RefusedMutation = QueuedMutation & { readonly problem: ClientProblem };

/** What was refused, until somebody decides on it. */
function createRefused(options: {
  readonly onChange: () => void;
  readonly retry: (mutation: RefusedMutation) => void;
  readonly discard: (id: string) => void;
}) {
  const refused = new Map<string, RejectedMutation>();
  let list: readonly RejectedMutation[] = [];
  const change = (): void => {
    list = [...refused.values()];
    options.onChange();
  };
  const release = (id: string): void => {
    if (refused.delete(id)) change();
  };
  return {
    get list() {
      return list;
    },
    release,
    add: (mutation: RefusedMutation): void => {
      const { id, problem, request } = mutation;
      refused.delete(id);
      refused.set(id, {
        problem,
        mutationId: id,
        request,
        retry: () => {
          release(id);
          options.retry(mutation);
        },
        discard: () => {
          release(id);
          options.discard(id);
        },
      });
      change();
    },
  };
}

/** What a mutation passes through. */
interface Desk {
  readonly cache: Cache;
  readonly rules: ClientRules;
  readonly handles: Handles;
  readonly queue: OfflineQueue;
  readonly refused: ReturnType<typeof createRefused>;
  /** Not yet on disk. */
  readonly saving: Map<
    string,
    { readonly mutation: QueuedMutation; readonly saved: Promise<void> }
  >;
}

function show({ cache, rules }: Desk, mutation: QueuedMutation): void {
  cache.mutate(toOverlay(mutation, rules));
}

/** What was made elsewhere, or before: what its twin needs may not be here, and it is sent all the same. */
function showAgain(desk: Desk, mutation: QueuedMutation): void {
  try {
    show(desk, mutation);
  } catch {
    // It shows nothing until the service decides.
  }
}

function settle(desk: Desk, mutation: QueuedMutation, settlement: Settlement): void {
  const { id } = mutation;
  if (settlement.kind === "committed")
    desk.cache.confirm(id, settlement.receipt.sequence, settlement.records);
  else {
    desk.cache.reject(id);
    desk.refused.add({ ...mutation, problem: settlement.problem });
  }
  desk.handles.settle(id, settlement);
}

/** Shown here although it was made elsewhere. */
function adopt(desk: Desk, mutation: QueuedMutation): void {
  desk.refused.release(mutation.id);
  if (desk.queue.waiting.some(({ id }) => id === mutation.id)) return;
  showAgain(desk, mutation);
  desk.queue.add(mutation);
}

function restore(desk: Desk, stored: readonly QueuedMutation[]): void {
  const { cache, queue, refused, saving } = desk;
  const own = [...queue.waiting, ...Array.from(saving.values(), ({ mutation }) => mutation)];
  const pending: QueuedMutation[] = [];
  for (const one of stored) {
    const { id, problem } = one;
    if (problem !== undefined) refused.add({ ...one, problem });
    else if (!saving.has(id)) pending.push(one);
  }
  // Older ones come first in the overlay too.
  const known = new Set(own.map(({ id }) => id));
  if (pending.some(({ id }) => !known.has(id)))
    cache.batch(() => {
      for (const { id } of own) cache.reject(id);
      for (const one of [...pending, ...own]) showAgain(desk, one);
    });
  queue.restore(pending);
}

/** Puts mutations on disk, then in the queue. */
function createWriter(desk: Desk, options: OutboxOptions) {
  const { handles, queue, saving } = desk;
  const { keeper, onChange, onFailure, post } = options;
  const save = async (mutation: QueuedMutation): Promise<void> => {
    try {
      await keeper.putMutations([mutation]);
      handles.tell(mutation.id, "queued");
    } catch (error) {
      onFailure(error);
    }
    saving.delete(mutation.id);
    queue.add(mutation);
    post({ kind: "queued", mutation });
    onChange();
  };
  return (mutation: QueuedMutation): MutationHandle => {
    show(desk, mutation);
    const handle = handles.open(mutation);
    saving.set(mutation.id, { mutation, saved: save(mutation) });
    onChange();
    return handle;
  };
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { cache, rules, keeper, transport, onChange, onFailure, post } = options;
  const queue = createOfflineQueue({
    ...options,
    send: (line) => sendMutations(transport, line),
    onSending: (id) => desk.handles.tell(id, "sent"),
    onSettled: async (ends) => {
      cache.batch(() => {
        for (const { mutation, settlement } of ends) settle(desk, mutation, settlement);
      });
      onChange();
      // The others are told before the disk forgets: whoever takes over finds one or the other.
      for (const end of ends) post({ kind: "settled", ...end });
      const done: string[] = [];
      const kept: QueuedMutation[] = [];
      for (const { mutation, settlement } of ends) {
        if (settlement.kind === "committed") done.push(mutation.id);
        else kept.push({ ...mutation, problem: settlement.problem });
      }
      await Promise.all([
        done.length > 0 && keeper.dropMutations(done),
        kept.length > 0 && keeper.putMutations(kept),
      ]).catch(onFailure);
    },
  });
  const discard = (id: string): void => {
    post({ kind: "discarded", id });
    keeper.dropMutations([id]).catch(onFailure);
  };
  const refused = createRefused({
    onChange,
    retry: ({ id, problem, request }) => {
      // A refusal is the lasting answer of its id; after any other end it may have happened.
      const isLasting = problem.retry === "never";
      void submit({ id: isLasting ? options.createId() : id, request });
      if (isLasting) discard(id);
    },
    discard,
  });
  const desk: Desk = { cache, rules, queue, refused, handles: createHandles(), saving: new Map() };
  const submit = createWriter(desk, options);
  const { saving } = desk;

  return {
    mutate: (request) => submit({ id: options.createId(), request }),
    restore: (stored) => {
      restore(desk, stored);
      onChange();
    },
    receive: (message) => {
      if (message.kind === "queued") adopt(desk, message.mutation);
      else if (message.kind === "discarded") refused.release(message.id);
      else {
        queue.remove(message.mutation.id);
        settle(desk, message.mutation, message.settlement);
      }
      onChange();
    },
    setActive: queue.setActive,
    flush: async () => void (await Promise.all(Array.from(saving.values(), ({ saved }) => saved))),
    close: () => {
      queue.setActive(false);
      desk.handles.close(closed);
    },
    get pendingCount() {
      return queue.waiting.length + saving.size;
    },
    get rejected() {
      return refused.list;
    },
  };
}
