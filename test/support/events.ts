import type { WireEvent } from "../../src/stream/event.ts";

export interface SseFrame {
  readonly id: string | null;
  readonly event: string | null;
  readonly data: string | null;
}

/** Reads the frames of an SSE body by the specification's own words, so that no parser hides a fault. */
export async function* readFrames(response: Response): AsyncGenerator<SseFrame> {
  if (response.body === null) throw new Error("The answer has no body.");
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(part, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2) ?? null;
      yield { id: field("id"), event: field("event"), data: field("data") };
    }
  }
}

/** Reads events until one ends at `last`, then leaves. */
export async function readUntil(response: Response, last: number): Promise<WireEvent[]> {
  const events: WireEvent[] = [];
  for await (const { event, data, id } of readFrames(response)) {
    if (data !== null && /^(Resource|Bulk)/.test(event ?? "")) {
      events.push(JSON.parse(data) as WireEvent);
    }
    if (Number(id) >= last) break;
  }
  return events;
}
