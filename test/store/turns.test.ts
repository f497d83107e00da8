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
