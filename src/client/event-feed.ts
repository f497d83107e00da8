import type { Client } from "./client.ts";
import type { ClientEvent } from "./wire.ts";

/** How many events wait for a reader that does not keep up, before it is cut off. */
const waitingMax = 4_096;

/** Every event from now on, in order. Ends with the client, and when it is not kept up with. */
export function eventsOf({ onEvent }: Pick<Client, "onEvent">): AsyncIterableIterator<ClientEvent> {
  const waiting: ClientEvent[] = [];
  let wake: () => void = () => {};
  const life = { isEnded: false };
  const end = (): void => {
    life.isEnded = true;
    forget();
    wake();
  };
  const forget = onEvent((event) => {
    if (event !== null) waiting.push(event);
    if (event === null || waiting.length > waitingMax) end();
    wake();
  });
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
      end();
      waiting.length = 0;
      return { value: undefined, done: true };
    },
  };
}
