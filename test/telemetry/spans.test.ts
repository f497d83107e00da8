import { expect, test } from "bun:test";
import { trace } from "@opentelemetry/api";
import type { SpanOptions, Context, Tracer } from "@opentelemetry/api";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

interface Recorded {
  readonly name: string;
  readonly id: string;
  readonly parent: string | null;
  readonly links: readonly string[];
}

/** What an SDK would receive, recorded by hand: the service depends on the API alone. */
function recordSpans() {
  const recorded: Recorded[] = [];
  const startSpan = (name: string, options: SpanOptions = {}, context?: Context) => {
    const id = `${recorded.length + 1}`.padStart(16, "0");
    const parent = context === undefined ? null : (trace.getSpanContext(context)?.spanId ?? null);
    const links = (options.links ?? []).map((link) => link.context.spanId);
    recorded.push({ name, id, parent, links });
    return trace.wrapSpanContext({ traceId: "1".repeat(32), spanId: id, traceFlags: 1 });
  };
  const tracer = { startSpan } as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  return { recorded, [Symbol.dispose]: () => trace.disable() };
}

test("one trace leads from the request over the transaction to the delivery", async () => {
  using spans = recordSpans();
  const { telemetry } = openTelemetry({ level: "error", isPretty: false, write: () => {} });
  await using world = await createWorld({ telemetry });
  spans.recorded.length = 0;
  await world.insertAlbum("a");
  const [request, group, publish] = spans.recorded;
  expect([request?.name, group?.name, publish?.name]).toEqual([
    "http.request",
    "commit.group",
    "commit.publish",
  ]);
  expect([group?.parent, publish?.parent]).toEqual([request?.id ?? "", group?.id ?? ""]);
});

test("a group is a child of its first request and linked to all others", async () => {
  using spans = recordSpans();
  const { telemetry } = openTelemetry({ level: "error", isPretty: false, write: () => {} });
  await using world = await createWorld({ telemetry });
  spans.recorded.length = 0;
  await Promise.all(["a", "b", "c", "d"].map((name) => world.insertAlbum(name)));
  const requests = spans.recorded.filter(({ name }) => name === "http.request");
  const groups = spans.recorded.filter(({ name }) => name === "commit.group");
  const named = groups.flatMap(({ parent, links }) => [parent, ...links]);
  expect(named).toHaveLength(4);
  expect(new Set(named)).toEqual(new Set(requests.map(({ id }) => id)));
});

test("catching up from the log has a span of its own", async () => {
  using spans = recordSpans();
  const { telemetry } = openTelemetry({ level: "error", isPretty: false, write: () => {} });
  await using world = await createWorld({ telemetry });
  await world.insertAlbum("a");
  const headers = { authorization: `Bearer ${world.token}` };
  await readUntil(
    await world.app.request(`${world.at}/events?after=0&encoding=json`, { headers }),
    1,
  );
  expect(spans.recorded.map(({ name }) => name)).toContain("stream.catch_up");
});
