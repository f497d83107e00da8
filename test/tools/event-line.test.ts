import { expect, test } from "bun:test";
import { formatEvent, formatRange, parseEvent } from "../../src/tools/event-line.ts";

/** The line for an event of that kind at sequence 42. */
function lineOf(type: string, data: object, envelope: object = {}): string | null {
  const event = parseEvent({
    envelope: { timestamp: "2026-11-24T07:36:13.542Z", sequence: 42, span: 1, ...envelope },
    kind: { type, data },
  });
  return event === null ? null : formatEvent(event);
}

test("a changed resource shows its time, sequence, type, id, name and version", () => {
  const resource = { id: "a1", version: 3, name: "Iceland" };
  expect(lineOf("ResourceChanged", { resource_type: "album", resource })).toBe(
    '07:36:13.542  42           ResourceChanged         album  a1  "Iceland" v3',
  );
});

test("a resource without a name shows its first fields", () => {
  const resource = { id: "i1", version: 1, album_id: "a1", file_id: null, position: 2 };
  const line = lineOf("ResourceChanged", { resource_type: "album_item", resource });
  expect(line).toEndWith("album_item  i1  album_id=a1 position=2 v1");
});

test("a batch shows the range it covers, its counts and its first names", () => {
  const resources = ["a", "b", "c", "d"].map((name) => ({ id: name, version: 1, name }));
  const data = { resource_type: "file", resources, deleted_ids: ["x"], operation: "Index" };
  expect(lineOf("ResourceBatchChanged", data, { span: 5 })).toBe(
    '07:36:13.542  38-42        ResourceBatchChanged    file  4 changed 1 deleted (Index)  "a"  "b"  "c"',
  );
});

test("a deletion shows the id that is gone", () => {
  const line = lineOf("ResourceDeleted", { resource_type: "tag", resource_id: "t1", version: 2 });
  expect(line).toEndWith("tag  t1  deleted");
});

test("a bulk shows its count and its token, and whether it is a part only", () => {
  const data = {
    resource_type: "file",
    affected_count: 1_000,
    operation_token: "t0k3n",
    mode: "insert",
    hints: {},
  };
  expect(lineOf("BulkOperationCompleted", data)).toEndWith("1000 records (insert)  token t0k3n");
  const interrupted = lineOf("BulkOperationCompleted", { ...data, interrupted: true });
  expect(interrupted).toEndWith("1000 records (insert, interrupted)  token t0k3n");
});

test("a kind nobody knows yet shows its data, and one without a sequence a dash", () => {
  const line = lineOf("Job", { job_id: "j", progress: 0.5 }, { sequence: undefined });
  expect(line).toBe("07:36:13.542  -            Job                     job_id=j progress=0.5");
});

test("a name cannot steer the terminal", () => {
  const resource = { id: "a\u001B[2J", version: 1, position: 1 };
  const line = lineOf("ResourceChanged", { resource_type: "album\u202E", resource });
  expect(line).toContain("album?  a?[2J");
});

test("what is no event is not shown", () => {
  expect(parseEvent({ hello: {} })).toBeNull();
  expect(parseEvent(null)).toBeNull();
});

test("a range is one number when it covers one position", () => {
  expect([formatRange(7, 1), formatRange(7, 3), formatRange(null, 1)]).toEqual(["7", "5-7", "-"]);
});
