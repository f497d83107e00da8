import { expect, test } from "bun:test";
import { follow } from "./stream-reader.ts";
import { createLibrary } from "./world.ts";
import type { Topic } from "./world.ts";

/** How a stream ends: these take real seconds, so they run side by side. */
export const streamEnds: Topic = (library) => {
  test.concurrent("a stream ends with its token, and says so", async () => {
    const { target } = await library();
    const world = await createLibrary(target);
    const token = await target.tokenFor([{ library: world.id, role: "reader" }], 3);
    await using stream = await follow(world, { token });
    const frames = await stream.rest();
    expect(frames.at(-1)).toMatchObject({ event: "goodbye", data: { reason: "token_expired" } });
    expect(frames.at(-1)?.data.retry_ms).toBeNumber();
  }, 15_000);

  test.concurrent("a stream ends when its token is revoked, and says so", async () => {
    const { target } = await library();
    const world = await createLibrary(target);
    const token = await target.tokenFor([{ library: world.id, role: "reader" }]);
    await using stream = await follow(world, { token });
    await stream.next();
    const body = { kind: "token", value: token };
    expect((await world.api("POST", "/v1/revocations", { body })).status).toBe(204);
    const frames = await stream.rest();
    expect(frames.at(-1)).toMatchObject({ event: "goodbye", data: { reason: "revoked" } });
    expect((await world.send("GET", "/log", { token })).status).toBe(401);
  }, 15_000);
};
