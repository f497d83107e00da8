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
  // The decoder renames a key "__proto__", so that nobody's prototype is replaced.
  const value = fc
    .jsonValue({ maxDepth: 4 })
    .filter((one) => !JSON.stringify(one).includes("__proto__"));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1 }), (values) => {
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

/** Reads `count` values of a bare sequence, the first of which is a plain `hello`. */
async function readValues(response: Response, count: number): Promise<unknown[]> {
  const parts: Uint8Array[] = [];
  const reader = response.body?.getReader();
  let values: unknown[] = [];
  while (values.length < count) {
    const part = await reader?.read();
    if (part?.value === undefined) break;
    parts.push(part.value as Uint8Array);
    const [first = new Uint8Array(0), ...rest] = parts;
    const hello = unpackr.unpack(first) as { hello: { structures?: string[][] } };
    const { structures } = hello.hello;
    const decoder =
      structures === undefined
        ? unpackr
        : new Unpackr({ structures, mapsAsObjects: true, int64AsType: "number" });
    const following = rest.length === 0 ? [] : decoder.unpackMultiple(joinBytes(rest) as Buffer);
    values = [hello, ...(following as unknown[])];
  }
  await reader?.cancel();
  return values;
}

test("the bare msgpack stream carries the same events as the JSON one, also as records", async () => {
  await using world = await createWorld();
  for (const name of ["a", "b", "c"]) await world.insertAlbum(name);
  await world.send("POST", `${world.at}/batch`, {
    changes: ["d", "e"].map((name) => ({
      resource_type: "tag",
      operation: "insert",
      id: createId(),
      data: { name },
    })),
  });
  const open = (headers: Record<string, string>, query = "") =>
    world.app.request(`${world.at}/events?after=0${query}`, {
      headers: { authorization: `Bearer ${world.token}`, ...headers },
    });
  const json = await readUntil(await open({}, "&encoding=json"), 5);
  const accept = "application/vnd.syncline.events+msgpack";
  const [hello, ...plain] = await readValues(await open({ accept }), 5);
  expect(hello).toMatchObject({ hello: { protocol: 1, head: 5 } });
  expect(plain).toEqual(json);
  const [, ...records] = await readValues(await open({ accept }, "&records=1"), 5);
  expect(records).toEqual(json);
  expect((await open({}, "&records=1")).status).toBe(400);
});

test("I9: records of unknown fields are maps, so that a packer never grows", () => {
  const codec = createCodec([["type", "data"]]);
  const decoder = new Unpackr({ structures: [["type", "data"]], mapsAsObjects: true });
  // msgpackr refuses to decode a key called __proto__, in any form.
  const values = fc
    .dictionary(fc.string(), fc.jsonValue())
    .filter((data) => !JSON.stringify(data).includes("__proto__"));
  fc.assert(
    fc.property(values, (data) => {
      const plain = JSON.parse(JSON.stringify({ type: "t", data })) as Record<string, unknown>;
      const bytes = codec.encodeControl("heartbeat", plain, { format: "records" });
      expect(decoder.unpack(bytes)).toEqual({ heartbeat: plain });
    }),
  );
  expect(codec.structures).toEqual([["type", "data"]]);
});

test("a record takes fewer bytes than the same event as plain msgpack", async () => {
  await using world = await createWorld();
  const { codec } = world.library.hub;
  const { body } = await world.insertAlbum("Iceland");
  const { resource } = body as { resource: Record<string, unknown> };
  const envelope = {
    id: createId(),
    timestamp: new Date(0).toISOString(),
    library_id: createId(),
    sequence: 1,
    span: 1,
    epoch: 1,
    transaction_id: createId(),
  };
  const kind = { type: "ResourceChanged", data: { resource_type: "album", resource } };
  const size = (format: "msgpack" | "records") =>
    codec.encodeEvent({ envelope, kind }, format).length;
  expect(size("records")).toBeLessThan(size("msgpack") * 0.75);
});
