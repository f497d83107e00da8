import type { ClientEvent } from "./wire.ts";

/** How many events wait for a listener that does not keep up, before it is cut off. */
const waitingMax = 4_096;

/** Hands every event to every listener, in order. */
export interface EventFeed {
  push(event: ClientEvent): void;
  listen(): AsyncIterableIterator<ClientEvent>;
  close(): void;
}

export function createEventFeed(): EventFeed {
  const listeners = new Set<{
    readonly push: (event: ClientEvent) => void;
    readonly end: () => void;
  }>();

  const listen = (): AsyncIterableIterator<ClientEvent> => {
    const waiting: ClientEvent[] = [];
    let wake: () => void = () => {};
    const life = { isEnded: false };
    const listener = {
      push: (event: ClientEvent): void => {
        waiting.push(event);
        if (waiting.length > waitingMax) listener.end();
        wake();
      },
      end: (): void => {
        life.isEnded = true;
        listeners.delete(listener);
        wake();
      },
    };
    listeners.add(listener);
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        while (waiting.length === 0 && !life.isEnded) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const value = waiting.shift();
        return value === undefined ? { value: undefined, done: true } : { value, done: false };
      },
      return: async () => {
        listener.end();
        waiting.length = 0;
        return { value: undefined, done: true };
      },
    };
  };

  return {
    push: (event) => {
      for (const { push } of listeners) push(event);
    },
    listen,
    close: () => {
      for (const { end } of listeners) end();
    },
  };
}
