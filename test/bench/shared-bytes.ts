/**
 * The bound of fan-out: plain Bun.serve, and one shared Uint8Array enqueued to the ReadableStream of
 * each subscriber. Nothing that speaks SSE from standard streams can do less. The durable variant
 * writes one batch of the bare driver before.
 *
 * @module
 */
import type { Client } from "@libsql/client";
import { answerCalls } from "./child.ts";
import { albumDescription, createUuid } from "./records.ts";
import { openDatabase, toStatements } from "./tables.ts";

const encoder = new TextEncoder();

const headers = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store, no-transform",
};

function createServer(db: Client | null, frameBytes: number): Bun.Server<undefined> {
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
    const album = { id: createUuid(), name: "Iceland, day after day" };
    await db?.batch(toStatements({ ...album, description: albumDescription }), "write");
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
  listen: async (input: {
    directory: string;
    frameBytes: number;
    isDurable: boolean;
  }): Promise<number> => {
    const db = input.isDurable ? await openDatabase(`${input.directory}/bound.db`) : null;
    return createServer(db, input.frameBytes).port ?? 0;
  },
};

export type SharedBytesCalls = typeof calls;

if (import.meta.main) answerCalls(calls);
