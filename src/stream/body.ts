import { createSlices } from "./slices.ts";
import type { Slices } from "./slices.ts";
import type { Sink, Subscriber } from "./subscription.ts";

interface BodyOptions {
  /** Bytes handed over before the reader must have taken them. */
  readonly highWaterBytes: number;
  /** Aborted when the client goes away, on runtimes that do not cancel the body then. */
  readonly signal: () => AbortSignal;
  /** Called once, when the body begins to be read. */
  readonly subscribe: (sink: Sink) => Subscriber;
}

/** Opens the body of an event stream; a runtime may have a cheaper way than the standard one. */
export type OpenBody = (options: BodyOptions) => ReadableStream<Uint8Array>;

/** The body as the web's standard has it, for every runtime. */
export const openStandardBody: OpenBody = ({ highWaterBytes, signal, subscribe }) => {
  let subscriber: Subscriber | null = null;
  let slices: Slices | null = null;
  const leave = (): void => subscriber?.leave();
  signal().addEventListener("abort", leave);
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const room = (): number => controller.desiredSize ?? 0;
        slices = createSlices({
          isFree: () => room() > 0,
          put: (bytes) => controller.enqueue(bytes),
        });
        subscriber = subscribe({
          room: () => (slices?.isEmpty === true ? room() : 0),
          write: slices.write,
          close: () => {
            signal().removeEventListener("abort", leave);
            controller.close();
          },
        });
      },
      pull: () => {
        slices?.more();
        subscriber?.pump();
      },
      cancel: leave,
    },
    { highWaterMark: highWaterBytes, size: (chunk) => chunk?.byteLength ?? 0 },
  );
};
