import { expect, test } from "bun:test";
import { followEvents } from "../../src/tools/events.ts";
import { createNetwork, problem, type Answer } from "./network.ts";

const hello = frame("hello", { head: 10, history_id: "h1" });

function frame(event: string, data: object, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

const change = (sequence: number): string => frame("ResourceChanged", { at: sequence }, sequence);

/** Follows the answers until `count` events were seen, and tells all that happened. */
async function follow(answers: readonly Answer[], options: { count: number; after?: number }) {
  const { api, seen, sleptMs, clock } = createNetwork(answers);
  const stop = new AbortController();
  const events: unknown[] = [];
  const notices: string[] = [];
  const following = followEvents(api, {
    library: "lib",
    ...(options.after === undefined ? {} : { after: options.after }),
    signal: stop.signal,
    onEvent: (event) => {
      if (events.push(event) === options.count) stop.abort();
    },
    onNotice: (sentence) => void notices.push(sentence),
    clock,
    random: () => 1,
  });
  await following;
  return { seen, sleptMs, events, notices };
}

test("events are handed on, and heartbeats are not", async () => {
  const beat = frame("heartbeat", { head: 11 });
  const { events, seen } = await follow([new Response(hello + change(11) + beat + change(12))], {
    count: 2,
  });
  expect(events).toEqual([{ at: 11 }, { at: 12 }]);
  expect(seen[0]?.url.href).toBe("http://node.test/v1/libraries/lib/events?encoding=json");
  expect(seen[0]?.headers.get("last-event-id")).toBeNull();
});

test("a stream that breaks goes on after its last position, skipped ones counted", async () => {
  const { seen, notices } = await follow(
    [new Response(`${hello}${change(11)}id: 15\n\n`), new Response(hello + change(16))],
    { count: 2 },
  );
  expect(seen[1]?.headers.get("last-event-id")).toBe("15");
  expect(seen[1]?.url.searchParams.get("history_id")).toBe("h1");
  expect(notices).toEqual([
    "The stream ended; connecting again after 15 in 0.5 s.",
    "Connected again.",
  ]);
});

test("a stream that breaks before any event goes on after the head it was told", async () => {
  const { seen } = await follow([new Response(hello), new Response(hello + change(11))], {
    count: 1,
  });
  expect(seen[1]?.headers.get("last-event-id")).toBe("10");
});

test("a wanted start is sent as the last event", async () => {
  const { seen } = await follow([new Response(hello + change(4))], { count: 1, after: 3 });
  expect(seen[0]?.headers.get("last-event-id")).toBe("3");
});

test("a goodbye is waited out for as long as it asks", async () => {
  const goodbye = frame("goodbye", { reason: "shutdown", retry_ms: 1_234 });
  const { sleptMs, notices } = await follow(
    [new Response(hello + goodbye), new Response(hello + change(11))],
    { count: 1 },
  );
  expect(sleptMs).toEqual([1_234]);
  expect(notices[0]).toBe("The service said goodbye (shutdown).");
});

test("a service that stays away is asked less and less often", async () => {
  const gone = new Error("gone");
  const { sleptMs } = await follow(
    [new Response(hello), gone, gone, gone, new Response(hello + change(11))],
    { count: 1 },
  );
  expect(sleptMs).toEqual([500, 1_000, 2_000, 4_000]);
});

test("a reset says that events are missing, and goes on from the head", async () => {
  const reset = frame("reset", { reason: "cursor_expired", head: 50, history_id: "h2" });
  const { seen, notices } = await follow(
    [new Response(hello + reset), new Response(hello + change(51))],
    { count: 1, after: 1 },
  );
  expect(notices[0]).toBe("Events were left out (cursor_expired); going on after 50.");
  expect(seen[1]?.headers.get("last-event-id")).toBe("50");
  expect(seen[1]?.url.searchParams.get("history_id")).toBe("h2");
});

test("a token that is no longer good ends it", async () => {
  const answers = [new Response(hello), problem(401, { code: "unauthorized" })];
  await expect(follow(answers, { count: 1 })).rejects.toMatchObject({ problem: { status: 401 } });
});

test("a service that was never there is an error, not something to wait for", async () => {
  await expect(follow([new Error("refused")], { count: 1 })).rejects.toThrow("cannot be reached");
});
