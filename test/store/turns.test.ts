/**
 * The client of files answers before its caller goes on: without turns, whoever reads page after page
 * holds up every request, timer and heartbeat of the process for as long as that takes.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { sumType } from "../../src/commit/remote-snapshot.ts";
import { readSnapshot } from "../../src/library/snapshot.ts";
import { trimLog } from "../../src/log/retention.ts";
import type { Subscription } from "../../src/stream/subscription.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createTurns } from "../../src/store/turns.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

const COUNT = 20_000;

async function fill(world: World): Promise<void> {
  const lines = Array.from({ length: COUNT }, () =>
    JSON.stringify({ id: createId(), name: "a tag", color: "x".repeat(30) }),
  );
  const path = `${world.at}/bulk?resource_type=tag&mode=insert`;
  const headers = {
    authorization: `Bearer ${world.token}`,
    "content-type": "application/x-ndjson",
  };
  await world.app.request(path, { method: "POST", headers, body: lines.join("\n") });
  await world.library.database.write([
    {
      sql: `INSERT INTO sync_log (sequence, epoch, transaction_id, device_id, timestamp_ms, domain, model_type, record_id,
        change_type, version) SELECT 1 + row_number() OVER (), 1, tags.id, '', ?, 'metadata', 'tag', tags.id, 'update', 2
        FROM tags CROSS JOIN json_each('[1, 2, 3, 4, 5]')`,
      // So new that the library does not trim them by itself.
      args: [Date.now()],
    },
  ]);
}

const work: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  "a snapshot that is read as fast as it comes": async ({ library, service }) => {
    const { resources } = service.registry;
    const selection = { resources, afterKey: undefined, isStored: false };
    const lines = readSnapshot(service.catalog, library.state.id, selection);
    let count = 0;
    for await (const line of lines) if ("resource" in line) count += 1;
    return count;
  },
  "the sum of a type": async ({ library, service }) =>
    (await sumType(library.database, service.registry.resource("tag"))).count,
  "the catch-up of a stream that takes all at once": async ({ library: { hub } }) => {
    hub.publish([], 1 + COUNT * 5);
    const done = Promise.withResolvers<void>();
    const subscription: Subscription = {
      format: "sse-json",
      cursor: 0,
      types: null,
      expiresAtMs: null,
      isRevoked: () => false,
      sink: {
        room: () => 1,
        write: () => (subscription.cursor === hub.head ? done.resolve() : undefined),
        close: done.resolve,
      },
    };
    hub.subscribe(subscription).pump();
    await done.promise;
    return (subscription.cursor - 1) / 5;
  },
  "a trim of the log": async ({ library: { database, state } }) =>
    (await trimLog(database, state, { beforeMs: Date.now() + 1, activeSinceMs: 0 })) / 5,
};

test.each(Object.keys(work))("%s lets a timer run in between", async (name) => {
  // The service's own trim, a second after it leads, must not come in between.
  await using world = await createWorld({ limits: { retentionMs: Number.MAX_SAFE_INTEGER } });
  await fill(world);
  let hasRun = false;
  setTimeout(() => (hasRun = true), 1);
  expect(await work[name]?.(world)).toBeCloseTo(COUNT, 0);
  expect(hasRun).toBe(true);
});

/** How many of `works` went on in the same turn of the event loop, at most. */
async function countTogether(works: readonly ((went: () => void) => Promise<unknown>)[]) {
  let [inTurn, most] = [0, 0];
  let next: ReturnType<typeof setImmediate>;
  const watch = (): void => {
    most = Math.max(most, inTurn);
    inTurn = 0;
    next = setImmediate(watch);
  };
  watch();
  await Promise.all(works.map((work) => work(() => void (inTurn += 1))));
  clearImmediate(next!);
  return Math.max(most, inTurn);
}

/** Work that holds everything else up for a while. */
const hold = async (ms: number): Promise<void> => {
  for (const end = performance.now() + ms; performance.now() < end;);
};

test("of many who hold everything up, each has a turn of its own; who comes alone begins at once", async () => {
  const turn = createTurns(systemClock);
  const rounds = async (went: () => void): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      await turn(() => hold(25));
      went();
    }
  };
  expect(await countTogether(Array.from({ length: 5 }, () => rounds))).toBe(1);
  await Bun.sleep(1);
  let isNext = false;
  setImmediate(() => (isNext = true));
  await turn(async () => {});
  expect(isNext).toBe(false);
});

test("many whose work is short share a turn, and none waits for work that waits itself, or failed", async () => {
  const turn = createTurns(systemClock);
  const stuck = Promise.withResolvers<void>();
  const waits = turn(() => stuck.promise);
  const fails = turn(() => Promise.reject(new Error("It fails.")));
  expect(fails).rejects.toThrow("It fails.");
  const short = async (went: () => void): Promise<void> => turn(async () => went());
  expect(await countTogether(Array.from({ length: 20 }, () => short))).toBe(20);
  stuck.resolve();
  await waits;
});

test.each(["log?limit=1000", "resources/tag?limit=1000", "query/tag.list"])(
  "sixty who ask for %s at once are not answered in one turn",
  async (path) => {
    await using world = await createWorld();
    await fill(world);
    const headers = { authorization: `Bearer ${world.token}` };
    const ask = async (went: () => void): Promise<void> => {
      const response = await world.app.request(`${world.at}/${path}`, { headers });
      went();
      expect(response.status).toBe(200);
    };
    expect(await countTogether(Array.from({ length: 60 }, () => ask))).toBeLessThan(30);
  },
);
