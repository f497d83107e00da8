import { expect, test } from "bun:test";
import { follow } from "./stream-reader.ts";
import type { Received } from "./stream-reader.ts";
import { createLibrary } from "./world.ts";
import type { Target } from "./world.ts";

/** Opens two streams of a library where nothing happens, and waits for what they say. */
export async function listenToSilence(target: Target): Promise<Received[]> {
  const world = await createLibrary(target);
  await world.album("a");
  const heard = async (as: "sse-json" | "msgpack"): Promise<Received> => {
    await using stream = await follow(world, { as, query: { after: "0" } });
    let frame = await stream.next();
    while (frame.event !== "heartbeat") frame = await stream.next();
    return frame;
  };
  return Promise.all([heard("sse-json"), heard("msgpack")]);
}

/** `heard` began with the suite, because a silence that can be heard takes 15 seconds. */
export function silence(heard: () => Promise<readonly Received[]>): void {
  test("a silent stream has a heartbeat within 20 seconds, which carries the head", async () => {
    const frames = await heard();
    expect(frames).toHaveLength(2);
    for (const { data } of frames) {
      expect(data.head).toBe(1);
      expect(data.timestamp).toMatch(/Z$/);
      expect(data.token_expires_in).toBeNumber();
    }
  }, 25_000);
}
