/** A leader that hangs: its connections stay open and say nothing. Time passes when the test says so. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createBell } from "../../src/follower/bell.ts";
import { listenForHints } from "../../src/follower/hints.ts";
import { createUpstream, sendWrite } from "../../src/follower/upstream.ts";
import type { Fetch } from "../../src/follower/upstream.ts";

const SILENCE_MS = 60;

/** How a node answers; `pass` lets time pass for whoever listens. */
type Node = (pass: (ms: number) => void, signal: AbortSignal) => Promise<Response>;

/** Listens for hints at nodes "a" and "b" until `isOver`; tells whom it asked. */
async function listen(
  nodes: Readonly<Record<string, Node>>,
  isOver: (hints: number) => boolean,
): Promise<{ asked: string[]; hints: number }> {
  const asked: string[] = [];
  let hints = 0;
  let now = 0;
  const ticks = new Set<() => void>();
  const pass = (ms: number): void => {
    now += ms;
    for (const tick of ticks) tick();
  };
  const send: Fetch = async (url, init) => {
    const { host } = new URL(url);
    asked.push(host);
    return nodes[host]?.(pass, init?.signal as AbortSignal) ?? Response.error();
  };
  const clock = {
    ...systemClock,
    monotonic: () => now,
    every: (_ms: number, tick: () => void) => {
      ticks.add(tick);
      return () => void ticks.delete(tick);
    },
  };
  const options = { url: "http://a,http://b", libraryId: "l", token: "t", fetch: send, clock };
  const bell = createBell({ ...systemClock, sleep: () => systemClock.sleep(1) });
  await listenForHints({
    upstream: createUpstream(options),
    bell,
    clock,
    silenceMs: SILENCE_MS,
    random: () => 0,
    after: () => 0,
    isOver: () => isOver(hints),
    onJob: () => {},
    onHint: () => {
      hints += 1;
      if (isOver(hints)) bell.ring();
    },
  });
  return { asked, hints };
}

/** Lets more time pass than a silence may last. */
async function passAll(pass: (ms: number) => void): Promise<void> {
  for (let left = 5; left > 0; left -= 1) {
    await Bun.sleep(1);
    pass(SILENCE_MS / 3);
  }
}

const hangs: Node = async (pass) => {
  void passAll(pass);
  return new Response(new ReadableStream({}));
};
const neverAnswers: Node = async (pass, signal) => {
  void passAll(pass);
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new TypeError("Aborted.")));
  });
};
/** Says something just before it would count as silent. */
const beats: Node = async (pass) =>
  new Response(
    new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pass(SILENCE_MS - 1);
          controller.enqueue(new Uint8Array(1));
        },
      },
      { highWaterMark: 0 },
    ),
  );

test("a stream that says nothing is left, and the next node is asked", async () => {
  const { asked } = await listen({ a: hangs, b: beats }, (hints) => hints > 0);
  expect(asked).toEqual(["a", "b"]);
});

test("a node that takes the request and never answers is left too", async () => {
  const { asked } = await listen({ a: neverAnswers, b: beats }, (hints) => hints > 0);
  expect(asked).toEqual(["a", "b"]);
});

test("a stream with heartbeats is kept, however long nothing else happens", async () => {
  const { asked } = await listen({ a: beats, b: hangs }, (hints) => hints > 30);
  expect(asked).toEqual(["a"]);
});

test("a request that is never answered is given up, read or write, and the next node is asked", async () => {
  const asked: string[] = [];
  const upstream = createUpstream({
    url: "http://a,http://b,http://c",
    libraryId: "l",
    token: "t",
    clock: systemClock,
    replyMs: 1,
    fetch: (url, init) => {
      const { host } = new URL(url);
      asked.push(host);
      if (host === "c") return Promise.resolve(Response.json({ head: 7 }));
      return new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(new TypeError("Aborted.")));
      });
    },
  });
  const given = { code: "overloaded", message: "The leader at http://a cannot be reached." };
  await expect(upstream.describe()).rejects.toMatchObject(given);
  const write = sendWrite(upstream, "/commit", { deviceId: "d", body: {} });
  await expect(write).rejects.toMatchObject({ code: "overloaded" });
  expect(await upstream.describe()).toMatchObject({ head: 7 });
  expect(asked).toEqual(["a", "b", "c"]);
});

test("a snapshot that falls silent half-way is given up, by the clock", async () => {
  const ticks = new Set<() => void>();
  const line = new TextEncoder().encode('{"deleted":"x"}\n');
  const upstream = createUpstream({
    url: "http://a",
    libraryId: "l",
    token: "t",
    clock: {
      ...systemClock,
      every: (_ms, tick) => {
        ticks.add(tick);
        return () => void ticks.delete(tick);
      },
    },
    fetch: async () =>
      new Response(new ReadableStream<Uint8Array>({ start: (to) => to.enqueue(line) })),
  });
  const lines = upstream.snapshot(null, null);
  expect(await lines.next()).toEqual({ done: false, value: { deleted: "x" } });
  const silent = lines.next();
  await Bun.sleep(0);
  for (const tick of ticks) tick();
  await expect(silent).rejects.toMatchObject({
    code: "overloaded",
    message: "The leader sent nothing for 30000 ms.",
  });
});
