import { expect, test } from "bun:test";
import { openDirectBody } from "../../src/runtime/direct-body.ts";
import type { Sink, Subscriber } from "../../src/stream/subscription.ts";

/** A server whose one stream is written by the test. */
function createServer() {
  const opened = Promise.withResolvers<Sink>();
  const left = Promise.withResolvers<void>();
  const drained = Promise.withResolvers<void>();
  const subscriber: Subscriber = {
    pump: () => pumps.push("pump") > 1 && drained.resolve(),
    leave: () => left.resolve(),
  };
  const pumps: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, own) => {
      own.timeout(request, 0);
      const subscribe = (sink: Sink): Subscriber => {
        sink.write(new TextEncoder().encode("hello"));
        opened.resolve(sink);
        return subscriber;
      };
      const signal = (): AbortSignal => request.signal;
      return new Response(openDirectBody({ highWaterBytes: 1, signal, subscribe }));
    },
  });
  const port = server.port ?? 0;
  return {
    port,
    opened: opened.promise,
    left: left.promise,
    drained: drained.promise,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

async function connect(port: number, onData: (bytes: Buffer) => void) {
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: { data: (_, bytes) => onData(bytes) },
  });
  socket.write("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
  return socket;
}

test("I9: a socket that is not read has no room, and has room again once it is", async () => {
  await using server = createServer();
  let received = 0;
  const socket = await connect(server.port, (bytes) => (received += bytes.length));
  const sink = await server.opened;
  socket.pause();
  const chunk = new Uint8Array(65_536);
  let written = 0;
  while (sink.room() > 0 && written < 1_000) {
    sink.write(chunk);
    written += 1;
  }
  expect(written).toBeLessThan(1_000);
  expect(sink.room()).toBe(0);
  socket.resume();
  await server.drained;
  expect(sink.room()).toBeGreaterThan(0);
  socket.terminate();
  expect(received).toBeGreaterThan(0);
});

test("I9: a large frame waits for each reader once, not once a reader, and nothing comes into its middle", async () => {
  const count = 40;
  const frame = new Uint8Array(16_000_000).fill(120);
  const beat = new TextEncoder().encode("beat");
  const servers = Array.from({ length: count }, () => createServer());
  try {
    const hear = async (server: ReturnType<typeof createServer>) => {
      let [bytes, others] = [0, ""];
      const socket = await connect(server.port, (part) => {
        bytes += part.length;
        others += part.toString("latin1").replaceAll("x", "");
      });
      socket.pause();
      return { socket, sink: await server.opened, heard: () => ({ bytes, others }), server };
    };
    const readers = await Promise.all(servers.map(hear));
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    for (const { sink } of readers) {
      sink.write(frame);
      sink.write(beat);
    }
    await Bun.sleep(50);
    expect((process.memoryUsage.rss() - before) / frame.length).toBeLessThan(count / 4);
    const [reader] = readers;
    expect(reader?.sink.room()).toBe(0);
    reader?.socket.resume();
    while (!(reader?.heard().others.includes("beat") ?? true)) await Bun.sleep(5);
    // The frame and nothing else before the beat: hello, then only lengths of chunks.
    expect(reader?.heard().others.split("hello")[1]).toMatch(/^[\s\da-f]*beat\s*$/);
    expect(reader?.heard().bytes).toBeGreaterThan(frame.length);
    for (const { socket } of readers) socket.terminate();
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
});

test("what is written before the end arrives, then the body ends", async () => {
  await using server = createServer();
  const response = await fetch(`http://127.0.0.1:${server.port}/`);
  const sink = await server.opened;
  sink.write(new TextEncoder().encode(", goodbye"));
  sink.close();
  sink.write(new TextEncoder().encode(" (too late)"));
  expect(await response.text()).toBe("hello, goodbye");
});

test("a client that goes away leaves", async () => {
  await using server = createServer();
  const socket = await connect(server.port, () => {});
  await server.opened;
  socket.terminate();
  await server.left;
});
