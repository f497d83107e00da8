import * as v from "valibot";
import { countOf } from "./count.ts";

const envelopeSchema = v.looseObject({
  timestamp: v.optional(v.union([v.string(), v.number()])),
  sequence: v.optional(v.nullable(v.number()), null),
  span: v.optional(v.number(), 1),
});

const eventSchema = v.looseObject({
  envelope: envelopeSchema,
  kind: v.looseObject({ type: v.string(), data: v.optional(v.looseObject({}), {}) }),
});

/** An event of the stream, as far as a person at a terminal is told of it. */
export type ShownEvent = v.InferOutput<typeof eventSchema>;

type Fields = Readonly<Record<string, unknown>>;

const kindColumn = 22;
const sequenceColumn = 11;
const summaryChars = 80;

/** Reads an event, or null when it is none. */
export function parseEvent(value: unknown): ShownEvent | null {
  const parsed = v.safeParse(eventSchema, value);
  return parsed.success ? parsed.output : null;
}

/** One line: time, sequence or range, kind, type, id and a short summary. */
export function formatEvent({ envelope, kind }: ShownEvent): string {
  const columns = [
    formatTime(envelope.timestamp),
    formatRange(envelope.sequence, envelope.span).padEnd(sequenceColumn),
    kind.type.padEnd(kindColumn),
    ...describe(kind.type, kind.data),
  ];
  return stripControls(columns.filter((column) => column !== "").join("  ")).trimEnd();
}

/** `42`, or `38-42` for an event that stands for several positions; `-` for one that has none. */
export function formatRange(sequence: number | null, span: number): string {
  if (sequence === null) return "-";
  return span > 1 ? `${sequence - span + 1}-${sequence}` : String(sequence);
}

function formatTime(timestamp: string | number | undefined): string {
  const time = new Date(timestamp ?? Number.NaN);
  return Number.isNaN(time.getTime()) ? "--:--:--.---" : time.toISOString().slice(11, 23);
}

function describe(kind: string, data: Fields): string[] {
  const type = textOf(data["resource_type"]);
  switch (kind) {
    case "ResourceChanged": {
      const resource = toFields(data["resource"]);
      const version = resource["version"];
      const suffix = typeof version === "number" ? ` v${version}` : "";
      return [type, textOf(resource["id"]), `${summarize(resource)}${suffix}`.trim()];
    }
    case "ResourceDeleted":
      return [type, textOf(data["resource_id"]), "deleted"];
    case "ResourceBatchChanged":
      return [type, describeBatch(data)];
    case "BulkOperationCompleted": {
      const state = data["interrupted"] === true ? ", interrupted" : "";
      const what = `${countOf(textOf(data["affected_count"]), "record")} (${textOf(data["mode"])}${state})`;
      return [type, what, `token ${textOf(data["operation_token"])}`];
    }
    default:
      return [
        shorten(
          Object.entries(data)
            .map(([name, value]) => `${name}=${textOf(value)}`)
            .join(" "),
        ),
      ];
  }
}

function describeBatch(data: Fields): string {
  const changed = Array.isArray(data["resources"]) ? data["resources"] : [];
  const deleted = Array.isArray(data["deleted_ids"]) ? data["deleted_ids"] : [];
  const parts: string[] = [];
  if (changed.length > 0) parts.push(`${changed.length} changed`);
  if (deleted.length > 0) parts.push(`${deleted.length} deleted`);
  const operation = textOf(data["operation"]);
  if (operation !== "") parts.push(`(${operation})`);
  const names = changed.slice(0, 3).map((resource) => summarize(toFields(resource)));
  return shorten([parts.join(" "), ...names.filter((name) => name !== "")].join("  "));
}

/** Its name when it has one; otherwise the first fields that say something. */
function summarize(resource: Fields): string {
  const name = resource["name"];
  if (typeof name === "string") return shorten(JSON.stringify(name));
  const told = Object.entries(resource)
    .filter(([field, value]) => field !== "id" && field !== "version" && value !== null)
    .map(([field, value]) => `${field}=${textOf(value)}`);
  return shorten(told.slice(0, 4).join(" "));
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function toFields(value: unknown): Fields {
  const parsed = v.safeParse(v.looseObject({}), value);
  return parsed.success ? parsed.output : {};
}

function shorten(text: string): string {
  return text.length <= summaryChars ? text : `${text.slice(0, summaryChars - 1)}…`;
}

/** Names come from other people's devices: what they hold must not steer this terminal. */
function stripControls(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Bidi_Control}/gu, "?");
}
