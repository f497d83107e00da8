import { expect, test } from "bun:test";
import fc from "fast-check";
import { Packr } from "msgpackr/pack";
import { bundledPlugins } from "../../plugins/index.ts";
import { createFrameReader } from "../../src/base/frames.ts";
import { createDecoder } from "../../src/client/wire.ts";
import { createRegistry } from "../../src/resource/registry.ts";
import { createCodec } from "../../src/stream/codec.ts";
import { structuresOf } from "../../src/stream/structures.ts";

const packr = new Packr({ useRecords: false, variableMapSize: true });

test("frames come out whole and in order, however the bytes were cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue({ maxDepth: 5 }), { minLength: 1 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (values, cuts) => {
        const parts = values.map((value) => new Uint8Array(packr.pack(value)));
        const bytes = Buffer.concat(parts);
        const reader = createFrameReader();
        const frames: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const end = at + (cuts[turn % cuts.length] ?? 1);
          reader.push(bytes.subarray(at, end), (frame) => frames.push(frame));
          at = end;
        }
        expect(frames.map((frame) => [...frame])).toEqual(parts.map((part) => [...part]));
        expect(reader.restBytes).toBe(0);
      },
    ),
  );
});

/** Names that objects have by themselves; `__proto__` made the first test fail once. */
const awkward = ["__proto__", "constructor", "toString", "toJSON", "hasOwnProperty", "valueOf"];

test("fields may be called what objects call their own, and change nothing but themselves", () => {
  const codec = createCodec([]);
  const value = fc.oneof(
    fc.constant(null),
    fc.nat(),
    fc.constant({ isAdmin: true }),
    fc.constant([]),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...awkward), value), (custom) => {
      const resource = { id: "a", version: 1, ...custom, custom };
      const envelope = { id: "e", timestamp: "t", library_id: "l", sequence: 5, span: 1, epoch: 1 };
      const kind = { type: "ResourceChanged", data: { resource_type: "album", resource } };
      const frames: Uint8Array[] = [];
      const reader = createFrameReader();
      for (const format of ["msgpack", "records"] as const)
        reader.push(codec.encodeEvent({ envelope, kind }, format), (frame) => frames.push(frame));
      expect([frames.length, reader.restBytes]).toEqual([2, 0]);
      for (const frame of frames.map(createDecoder())) {
        const record = frame.kind === "event" ? frame.change?.changed[0]?.record : undefined;
        expect([record?.id, record?.version]).toEqual(["a", 1]);
        for (const held of [record, record?.["custom"]]) {
          expect(Object.getPrototypeOf(held)).toBe(Object.prototype);
          expect(Object.keys(held as object)).not.toContain("isAdmin");
        }
      }
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
    {
      examples: awkward.map((name) => [{ [name]: { isAdmin: true } }] as [Record<string, unknown>]),
    },
  );
});

test("every kind of msgpack value is stepped over exactly", () => {
  const long = (length: number) => "x".repeat(length);
  const values: unknown[] = [
    -1,
    -33,
    127,
    200,
    40_000,
    70_000,
    2 ** 40,
    -200,
    -40_000,
    -70_000,
    -(2 ** 40),
    1.5,
    null,
    true,
    long(20),
    long(200),
    long(70_000),
    new Uint8Array(3),
    new Uint8Array(300),
    new Uint8Array(70_000),
    new Date(5),
    Array.from({ length: 20 }, () => 1),
    Array.from({ length: 70_000 }, () => 1),
    Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, index])),
    10n ** 15n,
  ];
  for (const value of values) {
    const bytes = new Uint8Array(packr.pack([value, "end"]));
    const reader = createFrameReader();
    let count = 0;
    reader.push(bytes.subarray(0, -1), () => (count += 1));
    expect([reader.restBytes > 0, count]).toEqual([true, 0]);
    reader.push(bytes.subarray(-1), () => (count += 1));
    expect([reader.restBytes, count]).toEqual([0, 1]);
  }
});

test("bytes that cannot be msgpack are refused, not waited for", () => {
  expect(() => createFrameReader().push(new Uint8Array([0xc1]), () => {})).toThrow("not msgpack");
  const huge = new Uint8Array([0xdb, 0xff, 0xff, 0xff, 0xff]);
  expect(() => createFrameReader().push(huge, () => {})).toThrow("too large");
});

test("records are cut and read as the maps they stand for, whatever numbers are in them", () => {
  const structures = structuresOf(createRegistry(bundledPlugins));
  const codec = createCodec(structures);
  fc.assert(
    fc.property(fc.array(fc.nat(70_000), { minLength: 1 }), (sequences) => {
      const resource = { id: "a", version: 100, name: "x", description: null, cover_id: null };
      const events = sequences.map((sequence) => ({
        envelope: {
          id: "e",
          timestamp: "t",
          library_id: "l",
          sequence,
          span: 1,
          epoch: 90,
          transaction_id: "t",
        },
        kind: { type: "ResourceChanged", data: { resource_type: "album", resource } },
      }));
      const frames = events.flatMap((event) => [
        codec.encodeEvent(event, "records"),
        codec.encodeSkip(event.envelope.sequence, "records"),
        codec.encodeEvent(event, "msgpack"),
      ]);
      const reader = createFrameReader();
      const decode = createDecoder(structures);
      reader.setStructures(structures);
      const read: unknown[] = [];
      const bytes = Buffer.concat(frames.filter((_, index) => index % 3 < 2));
      for (let at = 0; at < bytes.length; at += 7)
        reader.push(bytes.subarray(at, at + 7), (frame) => read.push(decode(frame)));
      const plain = createDecoder();
      expect(read).toEqual(
        events.flatMap(({ envelope: { sequence } }, index) => [
          plain(frames[index * 3 + 2] ?? new Uint8Array(0)),
          { kind: "skip", sequence },
        ]),
      );
    }),
  );
});

test("I9: the room that a large frame took is given back with it", () => {
  const reader = createFrameReader();
  const large = new Uint8Array(packr.pack("x".repeat(1_000_000)));
  const small = new Uint8Array(packr.pack("end"));
  let count = 0;
  for (let at = 0; at < large.length; at += 64_000)
    reader.push(large.subarray(at, at + 64_000), () => (count += 1));
  reader.push(small, (frame) => {
    count += 1;
    expect(frame.buffer.byteLength).toBeLessThan(1_000);
  });
  expect(count).toBe(2);
});
