import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createFollower } from "../../src/follower/follower.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import { createPair } from "../support/pair.ts";

test("what the leader commits while a step runs is pulled at once, not with the next poll", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await (await pair.follow()).settle();
  await leader.insertAlbum("first");
  const { registry, limits, catalog } = phone.service;
  const told = { parts: 0 };
  let isHeld = false;
  const follower = createFollower({
    libraryId: pair.libraryId,
    leaderUrl: "http://leader",
    token: leader.token,
    device: { id: "phone", name: "phone" },
    open: () => catalog.open(pair.libraryId),
    whileOpen: (run) => catalog.use(pair.libraryId, run),
    close: () => catalog.release(pair.libraryId),
    registry,
    limits,
    telemetry: silentTelemetry,
    clock: systemClock,
    times: { pollMs: 600_000 },
    fetch: async (url, init) => {
      if (url.includes("/positions") && !isHeld) {
        isHeld = true;
        // The page of the log was read; the next commit is told of before this step ends.
        while (told.parts === 0) await Bun.sleep(1);
        const before = told.parts;
        await leader.insertAlbum("second");
        while (told.parts === before) await Bun.sleep(1);
      }
      const answer = await leader.app.request(url, init);
      if (!url.includes("/events")) return answer;
      const count = new TransformStream<Uint8Array, Uint8Array>({
        transform: (part, controller) => {
          controller.enqueue(part);
          told.parts += 1;
        },
      });
      return new Response(answer.body?.pipeThrough(count) ?? null, answer);
    },
  });
  const running = follower.run();
  const replica = await pair.replica();
  while (replica.state.head < 2) await Bun.sleep(1);
  expect(replica.state.head).toBe(2);
  await follower.stop();
  await running;
});
