import type { CounterName, GaugeName, HistogramName, PhaseName, SpanName } from "./names.ts";

export type Attributes = Readonly<Record<string, string | number | boolean>>;
export type LogLevel = "error" | "info" | "debug";
type Facts = Readonly<Record<string, unknown>>;

/** A running span; `end` closes it, with the error that ended it if there was one. */
export interface Span {
  set(attributes: Attributes): void;
  end(error?: unknown): void;
}

/** Where a span comes from: passed on explicitly, because a queue joins many requests into one. */
interface Origin {
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

/** A phase that is being timed for the log. */
export interface Timing {
  /** Notes the milliseconds since the last mark, or the start, as `PART_ms`. */
  mark(part: string): void;
  /** Writes the line: the phase, its parts, the whole as `ms`, and what it handled. */
  end(facts: Facts): void;
}

/** What the service tells the outside about itself. Every part receives it; `runtime/` decides where it goes. */
export interface Telemetry {
  /** Starts a span: a child of `parent`, else of the one active where it is called. */
  span(name: SpanName, attributes?: Attributes, origin?: Origin): Span;
  /** The headers by which another node joins the span's trace. */
  headersOf(span: Span | undefined): Readonly<Record<string, string>>;
  count(name: CounterName, by?: number, labels?: Attributes): void;
  /** `null` for what is no more. */
  gauge(name: GaugeName, value: number | null, labels?: Attributes): void;
  /** Records one observation of a histogram, in the unit its name ends with. */
  observe(name: HistogramName, value: number, labels?: Attributes): void;
  /** `error`: someone must look. `info`: the state changed. `debug`: for the author. */
  log(level: LogLevel, message: string, facts?: Facts): void;
  /** Times a phase; null unless `debug` is shown, so that nothing is measured or built for nobody. */
  time(phase: PhaseName): Timing | null;
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
  time: () => null,
};
