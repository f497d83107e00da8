/**
 * The wire, as the client knows it. Names become camelCase here and nowhere else; what lies inside
 * the fields of a record is the plugin's own and stays as it is.
 *
 * @module
 */
import { Unpackr } from "msgpackr/unpack";
import { renameKeys, toCamelCase, toSnakeCase } from "../base/case.ts";
import type { ChangeEvent, ClientRecord, RecordRef, TypedRecord } from "./record.ts";
import type { Answer } from "./snapshot.ts";

type Fields = Readonly<Record<string, unknown>>;

/** An event as `client.events()` gives it, infrastructure included. */
export interface ClientEvent {
  readonly envelope: {
    readonly id: string;
    readonly timestamp: string;
    readonly libraryId: string;
    readonly sequence?: number;
    readonly span?: number;
    /** Positions of the same transaction that follow; left out at its last event. */
    readonly rest?: number;
    readonly epoch: number;
    readonly transactionId?: string;
    readonly mutationId?: string;
  };
  readonly kind: { readonly type: string; readonly data: Fields };
}

/** The first frame of every stream. */
export interface Hello {
  readonly protocol: number;
  readonly historyId: string;
  readonly head: number;
  readonly oldestSequence: number;
  readonly epoch: number;
  readonly registryHash: string;
  readonly types: readonly string[];
  readonly structures?: readonly (readonly string[])[];
}

export type StreamFrame =
  | ({ readonly kind: "hello" } & Hello)
  | { readonly kind: "heartbeat"; readonly head: number }
  | { readonly kind: "skip"; readonly sequence: number }
  | { readonly kind: "reset"; readonly head: number; readonly historyId: string }
  | { readonly kind: "goodbye"; readonly retryMs: number }
  | {
      readonly kind: "event";
      readonly event: ClientEvent;
      readonly change: ChangeEvent | null;
      /** What of it could not be understood; its position counts, and anything may have changed. */
      readonly complaint: string | null;
    }
  | { readonly kind: "unreadable"; readonly complaint: string };

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const count = (value: unknown): number => (isSequence(value) ? value : 0);
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const strings = (value: unknown): string[] =>
  list(value).filter((one): one is string => typeof one === "string");

/** A resource in TypeScript names; null when it is none. */
export function toRecord(value: unknown): ClientRecord | null {
  if (!isFields(value)) return null;
  const { id, version } = value;
  if (typeof id !== "string" || !isSequence(version)) return null;
  return renameKeys(value, toCamelCase) as ClientRecord;
}

/** Those of a list that are resources. */
export const toRecords = (values: unknown): ClientRecord[] =>
  list(values).flatMap((one) => toRecord(one) ?? []);

/** Decodes frames; `structures` are those of `hello`: records halve the bytes and the work. Never throws. */
export function createDecoder(
  structures: readonly (readonly string[])[] = [],
): (bytes: Uint8Array) => StreamFrame {
  const unpackr = new Unpackr({
    int64AsType: "number",
    mapsAsObjects: true,
    useRecords: structures.length > 0,
    structures: structures.map((one) => [...one]),
  });
  return (bytes) => {
    try {
      return toFrame(unpackr.unpack(bytes) as unknown);
    } catch (error) {
      return unreadable(`A frame cannot be decoded: ${String(error)}`);
    }
  };
}

type Content = Pick<ChangeEvent, "changed" | "deleted" | "touched" | "bulk">;

/** What an event says of records, and what of it could not be understood. */
function contentOf(kind: string, data: Fields): { content: Content; complaint: string | null } {
  const { resource_type, resource, resources = [resource], resource_id } = data;
  const type = text(resource_type);
  const changed: TypedRecord[] = [];
  const touched: RecordRef[] = [];
  let deleted: Content["deleted"] = [];
  let bulk: Content["bulk"];
  let complaint: string | null = null;
  switch (kind) {
    case "ResourceChanged":
    case "ResourceBatchChanged":
      for (const one of list(resources)) {
        const record = toRecord(one);
        const { id = resource_id } = fieldsOf(one);
        if (record !== null) changed.push({ type, record });
        else if (typeof id === "string") touched.push({ type, id });
        else complaint = `A ${type || "resource"} without id and version was left out.`;
      }
      for (const id of strings(data["resource_ids"])) touched.push({ type, id });
      deleted = strings(data["deleted_ids"]).map((id) => ({ type, id, version: 0 }));
      break;
    case "ResourceDeleted":
      deleted = [{ type, id: text(resource_id), version: count(data["version"]) }];
      break;
    case "BulkOperationCompleted":
      bulk = { type, scopes: strings(Object.values(fieldsOf(data["hints"])).flat()) };
      break;
    default:
      complaint = `Events of kind ${kind} are not known to this version.`;
  }
  return { content: { changed, deleted, touched, bulk }, complaint };
}

const unreadable = (complaint: string): StreamFrame => ({ kind: "unreadable", complaint });

function toEventFrame(given: Fields, kind: Fields): StreamFrame {
  const type = text(kind["type"]);
  const data = fieldsOf(kind["data"]);
  const envelope = renameKeys(given, toCamelCase) as ClientEvent["envelope"];
  const event = { envelope, kind: { type, data: renameKeys(data, toCamelCase) } };
  const { sequence, span, transactionId, mutationId } = envelope;
  if (sequence === undefined) return { kind: "event", event, change: null, complaint: null };
  if (!isSequence(sequence) || !isSequence(span))
    return unreadable("An event without a position was left out.");
  const { content, complaint } = contentOf(type, data);
  const change = { sequence, span, transactionId: text(transactionId), mutationId, ...content };
  return { kind: "event", event, change, complaint };
}

const controls = ["hello", "heartbeat", "reset", "goodbye"] as const;

function toControl(value: Fields): StreamFrame | null {
  const { skip } = value;
  if (isSequence(skip)) return { kind: "skip", sequence: skip };
  const kind = controls.find((name) => isFields(value[name]));
  if (kind === undefined) return null;
  const body = renameKeys(fieldsOf(value[kind]), toCamelCase);
  if (kind === "goodbye") return { kind, retryMs: count(body["retryMs"]) };
  return isSequence(body["head"]) ? ({ ...body, kind } as StreamFrame) : null;
}

/** What one decoded frame means. Never throws: what it does not understand is said, not dropped. */
export function toFrame(value: unknown): StreamFrame {
  const frame = fieldsOf(value);
  const { envelope, kind } = frame;
  if (isFields(envelope) && isFields(kind)) return toEventFrame(envelope, kind);
  const names = Object.keys(frame).slice(0, 3).join(", ");
  return toControl(frame) ?? unreadable(`A frame is not understood: ${names || "no map"}.`);
}

/** The answer of a query. @throws when it is none */
export function toAnswer(body: unknown): Answer {
  const { data, included, cache, meta } = fieldsOf(body);
  const { sequence } = fieldsOf(meta);
  if (!Array.isArray(data) || !isSequence(sequence))
    throw new Error("The answer to a query is not one.");
  const { scopes, ttl_seconds, invalidation, resources } = fieldsOf(cache);
  const changes = strings(fieldsOf(invalidation)["on_resource_change"]);
  return {
    data,
    records: Object.entries(fieldsOf(included)).flatMap(([type, records]) =>
      toRecords(records).map((record) => ({ type, record })),
    ),
    sequence,
    ttlMs: (typeof ttl_seconds === "number" ? ttl_seconds : 300) * 1_000,
    scopes: strings(scopes),
    types: [...changes, ...Object.keys(fieldsOf(resources))],
  };
}

export const toWireNames = (fields: Fields): Record<string, unknown> =>
  renameKeys(fields, toSnakeCase);
