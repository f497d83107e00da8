/** I9: what a body costs follows its bytes, not the number of parts that they come in. */
import { expect, test } from "bun:test";
import { pack } from "msgpackr/pack";
import { createId } from "../../src/base/id.ts";
import { readRecords } from "../../src/http/records.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { systemClock } from "../../src/base/clock.ts";

const record = { id: createId(), notes: "x".repeat(400_000) };

test.each([
  ["application/x-ndjson", new TextEncoder().encode(`${JSON.stringify(record)}\n`)],
  ["application/vnd.syncline.records+msgpack", new Uint8Array(pack(record))],
])("a large record that drips in a few bytes at a time is read once: %s", async (type, bytes) => {
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + 4));
      at += 4;
    },
  });
  const request = new Request("http://service/bulk", {
    method: "POST",
    headers: { "content-type": type },
    body,
    duplex: "half",
  } as RequestInit);
  const found: unknown[] = [];
  let length = 0;
  for await (const arrived of readRecords(request, defaultLimits, systemClock)) {
    found.push(...arrived.records);
    length += arrived.bytes;
  }
  expect(found).toEqual([record]);
  expect(length).toBe(bytes.length);
});
