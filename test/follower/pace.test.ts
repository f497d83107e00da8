/** A leader that keeps a follower busy with nothing. Time passes only while the follower waits. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createFollower } from "../../src/follower/follower.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import { createPair } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";

/** So many requests are sent before the test looks how long they took. */
const REQUESTS = 200;

type Lie = (url: string, answer: Response) => Promise<Response>;

/** Follows a leader of which `lie` changes the answers. Resolves to how long the requests took. */
async function follow(pair: Pair, lie: Lie, isHinted: boolean): Promise<number> {
  let now = 0;
  let sent = 0;

  const enough = Promise.withResolvers<void>();
  const clock = {
    ...systemClock,
    monotonic: () => now,
    sleep: async (ms: number) => {
      // A hint ends whatever may end early, long before its time.
      if (isHinted && ms > 250) return new Promise<void>(() => {});
      // Whoever else waits at the same time must not make it pass twice.
      const end = now + ms;
      await Bun.sleep(1);
      now = Math.max(now, end);
    },
  };
  const { registry, limits, catalog } = pair.phone.service;
  const follower = createFollower({
    libraryId: pair.libraryId,
    leaderUrl: "http://leader",
    token: pair.leader.token,
    device: { id: "phone", name: "phone" },
    open: () => catalog.open(pair.libraryId),
    whileOpen: (run) => catalog.use(pair.libraryId, run),
    close: () => catalog.release(pair.libraryId),
    registry,
    limits,
    telemetry: silentTelemetry,
    clock,
    random: () => 0,
    fetch: async (url, init) => {
      sent += 1;
      if (sent >= REQUESTS) enough.resolve();
      return lie(url, await pair.leader.app.request(url, init));
    },
  });
  const running = follower.run();
  await enough.promise;
  const tookMs = now;
  await follower.stop();
  await running;
  return tookMs;
}

/** The leader's page of the log, with these fields in place of its own. */
const page =
  (fields: object): Lie =>
  async (url, answer) =>
    url.includes("/log?") ? Response.json({ ...(await answer.json()), ...fields }) : answer;

/** A stream that never falls silent. */
const chatter: Lie = async (url, answer) => {
  if (!url.includes("/events")) return answer;
  await answer.body?.cancel();
  return new Response(
    new ReadableStream({
      pull: async (controller) => {
        await Bun.sleep(0);
        controller.enqueue(new Uint8Array([0xc0]));
      },
    }),
  );
};

const lies: Readonly<Record<string, Lie>> = {
  "an empty page, and that there is more": page({ has_more: true }),
  "hints without end, and nothing new": chatter,
  "hints without end, and a head that falls": async (url, answer) =>
    page({ head: 0 })(url, await chatter(url, answer)),
  "hints without end, and no log": async (url, answer) =>
    url.includes("/log?") ? Response.json({}, { status: 503 }) : chatter(url, answer),
  "a cursor that has always expired": async (url, answer) =>
    url.includes("/log?")
      ? Response.json({ code: "cursor_expired", oldest_sequence: 9, head: 9 }, { status: 410 })
      : answer,
  "hints without end, and checksums that always differ": async (url, answer) => {
    if (!url.includes("/checksum")) return chatter(url, answer);
    const { sequence } = (await answer.json()) as { sequence: number };
    return Response.json({ sequence, checksums: { album: { count: 9, sum: 9 } } });
  },
};

for (const [what, lie] of Object.entries(lies)) {
  test(`a follower does not go round without a pause, whatever its leader answers: ${what}`, async () => {
    await using pair = await createPair();
    await pair.leader.insertAlbum("a");
    await (await pair.follow()).settle();
    const tookMs = await follow(pair, lie, what.startsWith("hints"));
    // At most a few steps a second, each of a few requests, after some that may come at once.
    expect(tookMs).toBeGreaterThan(10_000);
  });
}
