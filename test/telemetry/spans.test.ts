import { expect, test } from "bun:test";
import { SpanStatusCode, propagation, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { createId } from "../../src/base/id.ts";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { createCluster } from "../support/cluster.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

/** What an operator's SDK receives, by OpenTelemetry's own exporter. */
function recordSpans() {
  const exporter = new InMemorySpanExporter();
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const { telemetry } = openTelemetry({ level: "error", isPretty: false, write: () => {} });
  const named = (name: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => span.name === name);
  return {
    telemetry,
    named,
    one: (name: string): ReadableSpan => {
      const found = named(name);
      expect([name, found.length]).toEqual([name, 1]);
      return found[0]!;
    },
    forget: () => exporter.reset(),
    [Symbol.dispose]: () => {
      trace.disable();
      propagation.disable();
    },
  };
}

const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId;
const idOf = (span: ReadableSpan) => span.spanContext().spanId;
const traceOf = (span: ReadableSpan) => span.spanContext().traceId;

/** A reader of the live stream, so that there is somebody to deliver to. */
async function listen(world: Awaited<ReturnType<typeof createWorld>>) {
  const headers = { authorization: `Bearer ${world.token}` };
  return world.app.request(`${world.at}/events?encoding=json`, { headers });
}

test("one trace leads from the request over the transaction to the delivery", async () => {
  using spans = recordSpans();
  await using world = await createWorld(spans);
  const stream = await listen(world);
  spans.forget();
  await world.insertAlbum("a");
  const [request, group, delivery] = ["http.request", "commit.group", "stream.deliver"].map(
    spans.one,
  ) as [ReadableSpan, ReadableSpan, ReadableSpan];
  expect([parentOf(group), parentOf(delivery)]).toEqual([idOf(request), idOf(group)]);
  expect(new Set([request, group, delivery].map(traceOf)).size).toBe(1);
  expect(delivery.attributes).toEqual({ head: 1, subscribers: 1 });
  expect((await readUntil(stream, 1)).length).toBe(1);
});

test("a bulk, its chunks and the delivery of its one entry are in the trace of its request", async () => {
  using spans = recordSpans();
  await using world = await createWorld({ ...spans, limits: { bulkChunk: 2 } });
  const stream = await listen(world);
  spans.forget();
  const lines = ["a", "b", "c"].map((name) => JSON.stringify({ id: createId(), name }));
  await world.app.request(`${world.at}/bulk?resource_type=album`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
    body: lines.join("\n"),
  });
  const [request, bulk] = [spans.one("http.request"), spans.one("commit.bulk")];
  const chunks = spans.named("commit.bulk_chunk");
  const delivery = spans.one("stream.deliver");
  expect(parentOf(bulk)).toBe(idOf(request));
  expect(bulk.attributes).toEqual({ type: "album", mode: "insert", affected_count: 3 });
  expect(chunks.map(({ attributes }) => attributes["size"])).toEqual([2, 1]);
  for (const one of [...chunks, delivery]) expect(parentOf(one)).toBe(idOf(bulk));
  expect(new Set([request, bulk, delivery].map(traceOf)).size).toBe(1);
  await readUntil(stream, 1);
});

test("a bulk that is refused says so in its span", async () => {
  using spans = recordSpans();
  await using world = await createWorld(spans);
  await world.app.request(`${world.at}/bulk?resource_type=album`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
    body: JSON.stringify({ id: createId() }),
  });
  const bulk = spans.one("commit.bulk");
  expect(bulk.status.code).toBe(SpanStatusCode.ERROR);
  expect(bulk.events.map(({ name }) => name)).toEqual(["exception"]);
});

test("who sends a traceparent finds the work of every node in its own trace", async () => {
  using spans = recordSpans();
  await using cluster = await createCluster(spans);
  const [, follower] = cluster.nodes;
  spans.forget();
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const caller = "b7ad6b7169203331";
  const change = { operation: "insert", id: createId(), data: { name: "a" } };
  const answer = await follower.ask(`${cluster.at}/resources/album/commit`, {
    method: "POST",
    headers: { traceparent: `00-${traceId}-${caller}-01` },
    body: JSON.stringify(change),
  });
  expect(answer.status).toBe(200);
  const requests = spans.named("http.request");
  const [handedOn, asked] = requests;
  expect(requests.length).toBe(2);
  expect(parentOf(asked!)).toBe(caller);
  expect(parentOf(handedOn!)).toBe(idOf(asked!));
  expect(parentOf(spans.one("commit.group"))).toBe(idOf(handedOn!));
  expect(new Set([...requests, spans.one("commit.group")].map(traceOf))).toEqual(
    new Set([traceId]),
  );
});

test("a group is a child of its first request and linked to all others", async () => {
  using spans = recordSpans();
  await using world = await createWorld(spans);
  spans.forget();
  await Promise.all(["a", "b", "c", "d"].map((name) => world.insertAlbum(name)));
  const groups = spans.named("commit.group");
  const asked = groups.flatMap((group) => [
    parentOf(group),
    ...group.links.map(({ context }) => context.spanId),
  ]);
  expect(asked).toHaveLength(4);
  expect(new Set(asked)).toEqual(new Set(spans.named("http.request").map(idOf)));
});

test("catching up from the log has a span of its own", async () => {
  using spans = recordSpans();
  await using world = await createWorld(spans);
  await world.insertAlbum("a");
  const headers = { authorization: `Bearer ${world.token}` };
  await readUntil(
    await world.app.request(`${world.at}/events?after=0&encoding=json`, { headers }),
    1,
  );
  expect(spans.one("stream.catch_up").attributes).toEqual({ after: 0 });
});
