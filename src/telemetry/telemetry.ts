import type { CounterName, GaugeName, HistogramName, SpanName } from "./names.ts";

export type Attributes = Readonly<Record<string, string | number | boolean>>;
export type LogLevel = "error" | "info" | "debug";

/** A running span; `end` closes it, with the error that ended it if there was one. */
export interface Span {
  set(attributes: Attributes): void;
  end(error?: unknown): void;
}

/** Where a span comes from: passed on explicitly, because a queue joins many requests into one. */
export interface Origin {
  readonly parent?: Span | undefined;
  readonly links?: readonly Span[];
  /** A request's headers: its caller may say what its own trace is. */
  readonly carrier?: Headers;
}

/** Does something inside a span, and ends it. */
export async function during<Result>(span: Span, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await work();
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}

/** What the service tells the outside about itself. Every part receives it; `runtime/` decides where it goes. */
export interface Telemetry {
  /** Starts a span: a child of `parent`, else of the one active where it is called. */
  span(name: SpanName, attributes?: Attributes, origin?: Origin): Span;
  /** The headers by which another node joins the span's trace. */
  headersOf(span: Span | undefined): Readonly<Record<string, string>>;
  count(name: CounterName, by?: number, labels?: Attributes): void;
  gauge(name: GaugeName, value: number, labels?: Attributes): void;
  /** Records one observation of a histogram, in the unit its name ends with. */
  observe(name: HistogramName, value: number, labels?: Attributes): void;
  /** `error`: someone must look. `info`: the state changed. `debug`: for the author. */
  log(level: LogLevel, message: string, facts?: Readonly<Record<string, unknown>>): void;
}

const silentSpan: Span = { set: () => {}, end: () => {} };

/** Says nothing: the default, and what tests use. */
export const silentTelemetry: Telemetry = {
  span: () => silentSpan,
  headersOf: () => ({}),
  count: () => {},
  gauge: () => {},
  observe: () => {},
  log: () => {},
};
