import { expect, test } from "bun:test";
import { eventsOf } from "../../src/client/event-feed.ts";
import fc from "fast-check";
import { createFeed } from "../../src/client/feed.ts";
import type { StreamFrame } from "../../src/client/wire.ts";
import { toFrame } from "../../src/client/wire.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import { createWorld, file } from "./world.ts";

const identity = { historyId: "h", registryHash: "r" };

function frame(sequence: number, type: string, rest?: number): StreamFrame {
  return toFrame({
    envelope: {
      id: `e${sequence}`,
      sequence,
      span: 1,
      epoch: 1,
      transaction_id: "t",
      ...(rest === undefined ? {} : { rest }),
    },
    kind: {
      type: "ResourceChanged",
      data: { resource_type: type, resource: { ...file(type), version: 1 } },
    },
  });
}

function createFed() {
  const { cache } = createWorld(5);
  const events: string[] = [];
  const feed = createFeed({
    cache,
    onStart: () => {},
    onEvent: ({ envelope }) => events.push(envelope.id),
    onComplaint: () => {},
  });
  feed.restore(identity);
  let calls = 0;
  const listener = () => (calls += 1);
  for (const type of ["file", "tag", "album"]) cache.subscribeRecord(type, type, listener);
  return { cache, feed, events, calls: () => calls };
}

const transaction = [frame(6, "file", 2), frame(7, "tag", 1), frame(8, "album")];
const { historyId, registryHash } = identity;
const hello: StreamFrame = {
  kind: "hello",
  protocol: 1,
  historyId,
  registryHash,
  head: 5,
  oldestSequence: 1,
  epoch: 1,
  types: [],
};

test("a transaction over several types is told once, however its events are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2), { maxLength: 6 }), (cuts) => {
      const { cache, feed, events, calls } = createFed();
      let left = transaction;
      for (const cut of [...cuts, 3]) {
        expect(feed.apply(left.slice(0, cut))).toBe("applied");
        left = left.slice(cut);
        const isWhole = left.length === 0;
        expect([cache.cursor, calls()]).toEqual(isWhole ? [8, 1] : [5, 0]);
      }
      expect(events).toEqual(["e6", "e7", "e8"]);
    }),
  );
});

test("what came of a transaction before the stream broke is not kept: it comes again whole", () => {
  const { cache, feed, calls } = createFed();
  feed.apply(transaction.slice(0, 2));
  expect(feed.position.after).toBe(5);
  feed.apply([hello, ...transaction.slice(0, 1)]);
  expect([cache.cursor, calls()]).toEqual([5, 0]);
  feed.apply(transaction.slice(1));
  expect([cache.cursor, calls()]).toEqual([8, 1]);
});

test("a transaction whose end is skipped, as for a token of some types, is whole at the skip", () => {
  const { cache, feed, calls } = createFed();
  feed.apply(transaction.slice(0, 1));
  feed.apply([{ kind: "skip", sequence: 8 }]);
  expect([cache.cursor, calls()]).toEqual([8, 1]);
});

test("the service says how much of a transaction follows", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  const seen: (readonly [string, unknown, unknown])[] = [];
  const reading = (async () => {
    for await (const { kind, envelope } of eventsOf(client))
      if (envelope.sequence !== undefined) seen.push([kind.type, envelope.span, envelope.rest]);
  })();
  await until(client.status, ({ connection }) => connection === "live");
  client.batch([
    { operation: "insert", type: "album", data: { name: "a" } },
    { operation: "insert", type: "album", data: { name: "b" } },
    { operation: "insert", type: "tag", data: { name: "c" } },
  ]);
  await client.synced();
  await client.close();
  await reading;
  expect(seen).toEqual([
    ["ResourceBatchChanged", 2, 1],
    ["ResourceBatchChanged", 1, undefined],
  ]);
});
