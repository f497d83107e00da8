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
  | { readonly kind: "hello"; readonly hello: Hello }
  | { readonly kind: "heartbeat"; readonly head: number }
  | { readonly kind: "skip"; readonly sequence: number }
  | {
      readonly kind: "reset";
      readonly reason: string;
      readonly head: number;
      readonly historyId: string;
    }
  | { readonly kind: "goodbye"; readonly reason: string; readonly retryMs: number }
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
    ...(structures.length > 0 ? { structures: structures.map((one) => [...one]) } : {}),
  });
  return (bytes) => {
    try {
      return toFrame(unpackr.unpack(bytes) as unknown);
    } catch (error) {
      return { kind: "unreadable", complaint: `A frame cannot be decoded: ${String(error)}` };
    }
  };
}

interface Content {
  changed: TypedRecord[];
  deleted: (RecordRef & { version: number })[];
  touched: RecordRef[];
  bulk?: { type: string; scopes: readonly string[] };
}

/** What an event says of records, and what of it could not be understood. */
function contentOf(kind: string, data: Fields): { content: Content; complaint: string | null } {
  const type = text(data["resource_type"]);
  const content: Content = { changed: [], deleted: [], touched: [] };
  let complaint: string | null = null;
  const isOne = kind === "ResourceChanged";
  if (isOne || kind === "ResourceBatchChanged") {
    for (const one of isOne ? [data["resource"]] : list(data["resources"])) {
      const record = toRecord(one);
      const id = data["resource_id"] ?? fieldsOf(one)["id"];
      if (record !== null) content.changed.push({ type, record });
      else if (typeof id === "string") content.touched.push({ type, id });
      else complaint = `A ${type || "resource"} without id and version was left out.`;
    }
    for (const id of strings(data["deleted_ids"])) content.deleted.push({ type, id, version: 0 });
  } else if (kind === "ResourceDeleted") {
    const { resource_id, version } = data;
    content.deleted.push({ type, id: text(resource_id), version: count(version) });
  } else if (kind === "BulkOperationCompleted")
    content.bulk = { type, scopes: strings(Object.values(fieldsOf(data["hints"])).flat()) };
  else complaint = `Events of kind ${kind} are not known to this version.`;
  return { content, complaint };
}

function toEventFrame(envelope: Fields, kind: Fields): StreamFrame {
  const type = text(kind["type"]);
  const data = fieldsOf(kind["data"]);
  const event = {
    envelope: renameKeys(envelope, toCamelCase) as ClientEvent["envelope"],
    kind: { type, data: renameKeys(data, toCamelCase) },
  };
  const { sequence, span, epoch, transactionId, mutationId } = event.envelope;
  if (sequence === undefined) return { kind: "event", event, change: null, complaint: null };
  if (!isSequence(sequence) || !isSequence(span))
    return { kind: "unreadable", complaint: "An event without a position was left out." };
  const { content, complaint } = contentOf(type, data);
  const change: ChangeEvent = {
    sequence,
    span,
    epoch: count(epoch),
    transactionId: text(transactionId),
    ...(typeof mutationId === "string" ? { mutationId } : {}),
    ...content,
  };
  return { kind: "event", event, change, complaint };
}

function toControl(value: Fields): StreamFrame | null {
  const { hello, heartbeat, reset, goodbye, skip } = value;
  if (isFields(hello) && isSequence(hello["head"]))
    return { kind: "hello", hello: renameKeys(hello, toCamelCase) as unknown as Hello };
  if (isFields(heartbeat) && isSequence(heartbeat["head"]))
    return { kind: "heartbeat", head: heartbeat["head"] };
  if (isSequence(skip)) return { kind: "skip", sequence: skip };
  if (isFields(reset) && isSequence(reset["head"])) {
    const { reason, head, history_id } = reset;
    return { kind: "reset", reason: text(reason), head, historyId: text(history_id) };
  }
  if (isFields(goodbye))
    return {
      kind: "goodbye",
      reason: text(goodbye["reason"]),
      retryMs: count(goodbye["retry_ms"]),
    };
  return null;
}

/** What one decoded frame means. Never throws: what it does not understand is said, not dropped. */
export function toFrame(value: unknown): StreamFrame {
  if (!isFields(value)) return { kind: "unreadable", complaint: "A frame that is no map." };
  const { envelope, kind } = value;
  if (isFields(envelope) && isFields(kind)) return toEventFrame(envelope, kind);
  return (
    toControl(value) ?? {
      kind: "unreadable",
      complaint: `A frame with ${Object.keys(value).slice(0, 3).join(", ")} is not understood.`,
    }
  );
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
    types: [...new Set([...changes, ...Object.keys(fieldsOf(resources))])],
  };
}

export const toWireNames = (fields: Fields): Record<string, unknown> =>
  renameKeys(fields, toSnakeCase);
