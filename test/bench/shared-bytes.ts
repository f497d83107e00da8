/**
 * The bound of fan-out: plain Bun.serve, no database, one shared Uint8Array enqueued to the
 * ReadableStream of each subscriber. Nothing that speaks SSE from streams can do less.
 *
 * @module
 */
import { answerCalls } from "./child.ts";

const encoder = new TextEncoder();

const headers = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store, no-transform",
};

function createServer(frameBytes: number): Bun.Server<undefined> {
  const subscribers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  let sequence = 0;

  const subscribe = (): Response => {
    let mine: ReadableStreamDefaultController<Uint8Array> | null = null;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        subscribers.add(controller);
        controller.enqueue(encoder.encode("event: hello\ndata: {}\n\n"));
      },
      cancel: () => {
        if (mine !== null) subscribers.delete(mine);
      },
    });
    return new Response(stream, { headers });
  };
  const publish = async (request: Request): Promise<Response> => {
    await request.text();
    sequence += 1;
    const head = `id: ${sequence}\nevent: ResourceChanged\ndata: `;
    const frame = encoder.encode(`${head.padEnd(frameBytes - 2, "A")}\n\n`);
    for (const controller of subscribers) controller.enqueue(frame);
    return Response.json({ sequence });
  };
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => {
      server.timeout(request, 0);
      return request.method === "POST" ? publish(request) : subscribe();
    },
  });
}

const calls = {
  /** Starts the server, whose frames have `frameBytes`; resolves to its port. */
  listen: async (input: { frameBytes: number }): Promise<number> =>
    createServer(input.frameBytes).port ?? 0,
};

export type SharedBytesCalls = typeof calls;

if (import.meta.main) answerCalls(calls);
