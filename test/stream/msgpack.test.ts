import { expect, test } from "bun:test";
import fc from "fast-check";
import { Unpackr } from "msgpackr/unpack";
import { createId } from "../../src/base/id.ts";
import type { LogEntry } from "../../src/log/sync-log.ts";
import { toEvents } from "../../src/stream/event.ts";
import { createCodec, pack } from "../../src/stream/codec.ts";
import { createFrame, joinBytes } from "../../src/stream/frame.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });

test("what is packed comes back as it was, also several in a row", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue({ maxDepth: 4 }), { minLength: 1 }), (values) => {
      const plain = values.map((value) => JSON.parse(JSON.stringify(value)) as unknown);
      const bytes = joinBytes(plain.map(pack));
      expect(unpackr.unpackMultiple(bytes as Buffer) as unknown[]).toEqual(plain);
    }),
  );
});

test("spans add up to the positions covered, whatever was collapsed or joined", () => {
  const run = fc.record({
    skipped: fc.nat(5),
    length: fc.integer({ min: 1, max: 4 }),
    type: fc.constantFrom("album", "tag", "file"),
  });
  fc.assert(
    fc.property(fc.nat(1_000), fc.array(run), (after, runs) => {
      let sequence = after;
      const rendered = runs.flatMap(({ skipped, length, type }) => {
        sequence += skipped;
        const transactionId = createId();
        return Array.from({ length }, () => {
          sequence += 1;
          const entry: LogEntry = {
            sequence,
            epoch: 1,
            transactionId,
            deviceId: "d",
            mutationId: null,
            timestampMs: 0,
            domain: "metadata",
            modelType: type,
            recordId: createId(),
            changeType: "update",
            version: 1,
            operation: "Update",
            data: {},
          };
          return { entry, resource: { id: entry.recordId, version: 1 } };
        });
      });
      let cursor = after;
      let resourceCount = 0;
      for (const { wire } of toEvents(rendered, { libraryId: createId(), after })) {
        expect((wire.envelope.sequence ?? 0) - (wire.envelope.span ?? 0)).toBe(cursor);
        cursor = wire.envelope.sequence ?? 0;
        resourceCount += (wire.kind.data["resources"] as unknown[]).length;
      }
      expect([cursor, resourceCount]).toEqual([sequence, rendered.length]);
    }),
  );
});

test("a frame is encoded once for each encoding, whoever asks", () => {
  const envelope = {
    id: createId(),
    timestamp: "",
    library_id: "",
    sequence: 1,
    span: 1,
    epoch: 1,
  };
  const wire = { envelope, kind: { type: "ResourceDeleted", data: {} } };
  const frame = createFrame({ sequence: 1, type: "album", wire }, createCodec([]));
  expect(frame.bytes("sse")).toBe(frame.bytes("sse"));
  expect(unpackr.unpack(frame.bytes("msgpack"))).toEqual(wire);
});

test("the bare msgpack stream carries the same events as the JSON one", async () => {
  await using world = await createWorld();
  for (const name of ["a", "b", "c"]) await world.insertAlbum(name);
  const open = (headers: Record<string, string>, query = "") =>
    world.app.request(`${world.at}/events?after=0${query}`, {
      headers: { authorization: `Bearer ${world.token}`, ...headers },
    });
  const json = await readUntil(await open({}, "&encoding=json"), 3);
  const response = await open({ accept: "application/vnd.syncline.events+msgpack" });
  const parts: Uint8Array[] = [];
  const reader = response.body?.getReader();
  let values: unknown[] = [];
  while (values.length < 4) {
    const part = await reader?.read();
    if (part?.value === undefined) break;
    parts.push(part.value as Uint8Array);
    values = unpackr.unpackMultiple(joinBytes(parts) as Buffer) as unknown[];
  }
  await reader?.cancel();
  expect(values[0]).toMatchObject({ hello: { protocol: 1, head: 3 } });
  expect(values.slice(1)).toEqual(json);
});
