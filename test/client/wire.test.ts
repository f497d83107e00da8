import { expect, test } from "bun:test";
import fc from "fast-check";
import { toAnswer, toFrame } from "../../src/client/wire.ts";

const envelope = {
  id: "e",
  timestamp: "t",
  library_id: "l",
  sequence: 4,
  span: 2,
  epoch: 1,
  transaction_id: "t",
};
const resource = { id: "a", version: 3, cover_id: "c", custom: { left_alone: 1 } };

test("an event is renamed once, at the top, and what lies inside its fields stays", () => {
  const kind = { type: "ResourceChanged", data: { resource_type: "album", resource } };
  const frame = toFrame({ envelope: { ...envelope, mutation_id: "m" }, kind });
  expect(frame).toMatchObject({
    kind: "event",
    complaint: null,
    event: { envelope: { libraryId: "l", transactionId: "t" } },
    change: {
      sequence: 4,
      span: 2,
      mutationId: "m",
      changed: [
        { type: "album", record: { id: "a", version: 3, coverId: "c", custom: { left_alone: 1 } } },
      ],
    },
  });
});

test("a record whose content could not travel is touched, a bulk names its scopes", () => {
  const changeOf = (type: string, data: object) => {
    const frame = toFrame({ envelope, kind: { type, data } });
    return frame.kind === "event" ? frame.change : null;
  };
  expect(
    changeOf("ResourceChanged", { resource_type: "file", resource: null, resource_id: "f" }),
  ).toMatchObject({ changed: [], touched: [{ type: "file", id: "f" }] });
  expect(
    changeOf("BulkOperationCompleted", {
      resource_type: "file",
      hints: { location_id: "x", n: 1 },
    }),
  ).toMatchObject({ bulk: { type: "file", scopes: ["x"] } });
  expect(
    changeOf("ResourceBatchChanged", {
      resource_type: "file",
      resources: [resource],
      deleted_ids: ["d"],
    }),
  ).toMatchObject({
    changed: [{ type: "file" }],
    deleted: [{ type: "file", id: "d", version: 0 }],
  });
});

test("EVT-11: a kind of a later version is said, and its position counts", () => {
  const frame = toFrame({ envelope, kind: { type: "ResourceFolded", data: {} } });
  expect(frame).toMatchObject({ kind: "event", change: { sequence: 4, span: 2 } });
  expect(frame.kind === "event" && frame.complaint).toContain("ResourceFolded");
});

test("EVT-25: an event without a sequence reaches listeners and not the cache", () => {
  const { sequence: _s, span: _p, ...rest } = envelope;
  const frame = toFrame({ envelope: rest, kind: { type: "Job", data: { job_id: "j" } } });
  expect(frame).toMatchObject({ kind: "event", change: null, complaint: null });
});

test("nothing that arrives can make the reader throw", () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), fc.anything(), (any, left, right) => {
      expect(typeof toFrame(any).kind).toBe("string");
      expect(typeof toFrame({ envelope: left, kind: right }).kind).toBe("string");
      expect(
        typeof toFrame({
          envelope: { sequence: left, span: 1 },
          kind: { type: "ResourceChanged", data: right },
        }).kind,
      ).toBe("string");
    }),
  );
});

test("an answer carries its records, its types and how new it is; anything else is refused", () => {
  const answer = toAnswer({
    data: ["a"],
    included: { album: [resource] },
    cache: {
      resources: { album: ["a"] },
      scopes: ["s"],
      ttl_seconds: 60,
      invalidation: { on_resource_change: ["album"] },
    },
    meta: { sequence: 9 },
  });
  expect(answer).toMatchObject({
    data: ["a"],
    sequence: 9,
    ttlMs: 60_000,
    scopes: ["s"],
  });
  expect(new Set(answer.types)).toEqual(new Set(["album"]));
  expect(answer.records[0]?.record).toMatchObject({ coverId: "c" });
  expect(() => toAnswer({ data: ["a"] })).toThrow();
});
