import { SpanStatusCode, context, propagation, trace } from "@opentelemetry/api";
import type { Span as OtelSpan, TextMapGetter } from "@opentelemetry/api";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { counters, gauges, histograms, phases } from "../telemetry/names.ts";
import type { PhaseName } from "../telemetry/names.ts";
import type { Attributes, LogLevel, Span, Telemetry, Timing } from "../telemetry/telemetry.ts";
import { createRepeats } from "./repeats.ts";

const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50, 100, 500, 1_000];
const SECRET = /token|secret|authorization/i;
const LEVELS: Readonly<Record<LogLevel, number>> = { error: 0, info: 1, debug: 2 };

/** Series a name may have; labels are routes, codes and open libraries, so this is never reached in order. */
const SERIES_MAX = 1_000;

const headerGetter: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
};

interface Histogram {
  readonly buckets: number[];
  count: number;
  sum: number;
}

function labelsOf(labels: Attributes | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => {
    const escaped = String(value)
      .replaceAll("\\", "\\\\")
      .replaceAll('"', '\\"')
      .replaceAll("\n", "\\n");
    return `${key}="${escaped}"`;
  });
  return pairs.join(",");
}

/** Counts in memory and prints Prometheus text; own code, because the usual client needs Node. */
function createMetrics() {
  const numbers = new Map<string, Map<string, number>>();
  const observed = new Map<string, Map<string, Histogram>>();
  const seriesOf = <Value>(all: Map<string, Map<string, Value>>, name: string) => {
    const series = all.get(name) ?? new Map<string, Value>();
    all.set(name, series);
    return series;
  };
  const set = (
    name: string,
    labels: Attributes | undefined,
    next: (before: number) => number | null,
  ): void => {
    const series = seriesOf(numbers, name);
    const key = labelsOf(labels);
    const before = series.get(key);
    const value = next(before ?? 0);
    if (value === null) series.delete(key);
    else if (before !== undefined || series.size < SERIES_MAX) series.set(key, value);
  };
  const observe = (name: string, value: number, labels?: Attributes): void => {
    const series = seriesOf(observed, name);
    const key = labelsOf(labels);
    let histogram = series.get(key);
    if (histogram === undefined) {
      if (series.size >= SERIES_MAX) return;
      histogram = { buckets: BUCKETS.map(() => 0), count: 0, sum: 0 };
      series.set(key, histogram);
    }
    histogram.count += 1;
    histogram.sum += value;
    const at = BUCKETS.findIndex((bound) => value <= bound);
    if (at >= 0) histogram.buckets[at] = (histogram.buckets[at] ?? 0) + 1;
  };
  const render = (): string => {
    const lines: string[] = [];
    const simple = (names: Readonly<Record<string, string>>, type: string, suffix: string) => {
      for (const [name, help] of Object.entries(names)) {
        const full = `syncline_${name}${suffix}`;
        lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`);
        for (const [labels, value] of numbers.get(name) ?? new Map([["", 0]])) {
          lines.push(`${full}${labels === "" ? "" : `{${labels}}`} ${value}`);
        }
      }
    };
    simple(counters, "counter", "_total");
    simple(gauges, "gauge", "");
    for (const [name, help] of Object.entries(histograms)) {
      const full = `syncline_${name}`;
      lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} histogram`);
      for (const [labels, { buckets, count, sum }] of observed.get(name) ?? []) {
        const comma = labels === "" ? "" : ",";
        let total = 0;
        BUCKETS.forEach((bound, index) => {
          total += buckets[index] ?? 0;
          lines.push(`${full}_bucket{${labels}${comma}le="${bound}"} ${total}`);
        });
        const own = labels === "" ? "" : `{${labels}}`;
        lines.push(`${full}_bucket{${labels}${comma}le="+Inf"} ${count}`);
        lines.push(`${full}_sum${own} ${sum}`, `${full}_count${own} ${count}`);
      }
    }
    return `${lines.join("\n")}\n`;
  };
  return { set, observe, render };
}

function printable(key: string, value: unknown): unknown {
  if (SECRET.test(key)) return "[redacted]";
  if (value instanceof Error) {
    const cause = value.cause === undefined ? {} : { cause: printable("", value.cause) };
    return { name: value.name, message: value.message, stack: value.stack, ...cause };
  }
  return typeof value === "bigint" ? value.toString() : value;
}

/** Times a phase and its parts, for one line of the log. */
function startTiming(phase: PhaseName, tell: (facts: object) => void): Timing {
  const startedAt = performance.now();
  let markedAt = startedAt;
  const parts: Record<string, number> = {};
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  return {
    mark: (part) => {
      const now = performance.now();
      parts[`${part}_ms`] = round(now - markedAt);
      markedAt = now;
    },
    end: (facts) => {
      const ms = round(performance.now() - startedAt);
      tell({ phase, ...facts, ...parts, ms });
    },
  };
}

/** What a line says, whatever the stacks of its errors are. */
const sayShort = (message: string, facts: object): string =>
  message +
  JSON.stringify(facts, (key, value: unknown) =>
    value instanceof Error ? value.message : printable(key, value),
  );

/** The telemetry of a process: metrics in memory, spans by OpenTelemetry, logs as lines. */
export function openTelemetry(options: {
  readonly level: LogLevel;
  readonly isPretty: boolean;
  readonly write: (line: string) => void;
  readonly clock?: Clock;
}): {
  readonly telemetry: Telemetry;
  readonly metrics: () => string;
} {
  const metrics = createMetrics();
  const tracer = trace.getTracer("syncline");
  const opened = new WeakMap<Span, OtelSpan>();
  const repeats = createRepeats(options.clock ?? systemClock);
  const telemetry: Telemetry = {
    span: (name, attributes = {}, { parent, links = [], carrier } = {}) => {
      const known = parent === undefined ? undefined : opened.get(parent);
      const active =
        carrier === undefined
          ? context.active()
          : propagation.extract(context.active(), carrier, headerGetter);
      const from = known === undefined ? active : trace.setSpan(active, known);
      const linked = links.flatMap((link) => {
        const span = opened.get(link);
        return span === undefined ? [] : [{ context: span.spanContext() }];
      });
      const span = tracer.startSpan(name, { attributes, links: linked }, from);
      const own: Span = {
        set: (more) => void span.setAttributes(more),
        end: (error) => {
          if (error !== undefined) {
            span.recordException(error instanceof Error ? error : "unknown");
            span.setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
      opened.set(own, span);
      return own;
    },
    headersOf: (own) => {
      const span = own === undefined ? undefined : opened.get(own);
      const headers: Record<string, string> = {};
      if (span !== undefined) propagation.inject(trace.setSpan(context.active(), span), headers);
      return headers;
    },
    count: (name, by = 1, labels) => metrics.set(name, labels, (before) => before + by),
    gauge: (name, value, labels) => metrics.set(name, labels, () => value),
    observe: metrics.observe,
    log: (level, message, facts = {}) => {
      if (LEVELS[level] > LEVELS[options.level]) return;
      const repeated = level === "error" ? repeats(sayShort(message, facts)) : 0;
      if (repeated === null) return;
      const time = new Date().toISOString();
      const told = repeated === 0 ? facts : { ...facts, repeated };
      const text = JSON.stringify(told, printable);
      const line = options.isPretty
        ? `${time} ${level.padEnd(5)} ${message}${text === "{}" ? "" : ` ${text}`}`
        : JSON.stringify({ time, level, message, ...told }, printable);
      options.write(line);
    },
    time: (phase) => {
      if (options.level !== "debug") return null;
      return startTiming(phase, (facts) => telemetry.log("debug", phases[phase], { ...facts }));
    },
  };
  return { telemetry, metrics: metrics.render };
}
