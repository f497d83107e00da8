import { readFrames } from "../../support/events.ts";
import type { Library } from "./world.ts";
import { unpackr } from "./world.ts";

/** One frame, whichever encoding it came in. `event` is null for a position that was filtered out. */
export interface Received {
  readonly event: string | null;
  readonly id: number | null;
  // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
  readonly data: any;
}

const controls = ["hello", "heartbeat", "reset", "goodbye"];

/** Reads the objects of a msgpack sequence as its bytes arrive. */
async function* readMaps(response: Response): AsyncGenerator<Record<string, unknown>> {
  let rest = new Uint8Array(0);
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    const bytes = new Uint8Array(rest.length + part.length);
    bytes.set(rest);
    bytes.set(part, rest.length);
    const values: Record<string, unknown>[] = [];
    let end = bytes.length;
    try {
      unpackr.unpackMultiple(bytes, (value: unknown) => {
        values.push(value as Record<string, unknown>);
      });
    } catch (error) {
      end = (error as { lastPosition?: number }).lastPosition ?? 0;
    }
    yield* values;
    rest = bytes.slice(end);
  }
}

async function* readMsgpack(response: Response): AsyncGenerator<Received> {
  for await (const value of readMaps(response)) {
    const control = controls.find((name) => name in value);
    if (control !== undefined) yield { event: control, id: null, data: value[control] };
    else if ("skip" in value) yield { event: null, id: value["skip"] as number, data: null };
    else {
      const { envelope, kind } = value as {
        envelope: { sequence?: number };
        kind: { type: string };
      };
      yield { event: kind.type, id: envelope.sequence ?? null, data: value };
    }
  }
}

async function* readSse(response: Response, isJson: boolean): AsyncGenerator<Received> {
  for await (const { id, event, data } of readFrames(response)) {
    if (id === null && event === null) continue;
    const decode = (text: string): unknown =>
      isJson ? JSON.parse(text) : unpackr.unpack(Buffer.from(text, "base64"));
    yield {
      id: id === null ? null : Number(id),
      event,
      data: data === null ? null : decode(data),
    };
  }
}

/** How a stream is asked for. */
export interface Following {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
  readonly as?: "sse-json" | "sse" | "msgpack";
}

/** Opens a stream and reads it frame by frame; closes it when it is disposed of. */
export async function follow(library: Library, options: Following = {}) {
  const { as = "sse-json", query = {}, headers = {}, token = library.target.ownerToken } = options;
  const abort = new AbortController();
  const encoding = as === "sse-json" ? { encoding: "json" } : {};
  const search = new URLSearchParams({ ...encoding, ...query }).toString();
  const response = await fetch(`${library.target.url}${library.at}/events?${search}`, {
    headers: {
      accept: as === "msgpack" ? "application/vnd.syncline.events+msgpack" : "text/event-stream",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    signal: abort.signal,
  });
  const frames = as === "msgpack" ? readMsgpack(response) : readSse(response, as === "sse-json");
  const next = async (): Promise<Received> => {
    const { value, done } = await frames.next();
    if (done === true) throw new Error("The stream has ended.");
    return value;
  };
  return {
    response,
    next,
    /** Frames up to the first that answers yes; heartbeats are left out. */
    until: async (isLast: (frame: Received) => boolean): Promise<Received[]> => {
      const seen: Received[] = [];
      for (;;) {
        const frame = await next();
        if (frame.event !== "heartbeat") seen.push(frame);
        if (isLast(frame)) return seen;
      }
    },
    /** Whatever comes until the service ends the stream. */
    rest: async (): Promise<Received[]> => {
      const seen: Received[] = [];
      for await (const frame of frames) seen.push(frame);
      return seen;
    },
    [Symbol.asyncDispose]: async () => abort.abort(),
  };
}
