import type { WireResource } from "../protocol/errors.ts";
import { BULK_MODEL_TYPE } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";

/** An event as clients receive it: envelope and kind (DESIGN section 7). */
export interface WireEvent {
  readonly envelope: {
    readonly id: string;
    readonly timestamp: string;
    readonly library_id: string;
    readonly sequence?: number;
    readonly span?: number;
    /** Positions of the transaction after this event; left out at its last, so in most events. */
    readonly rest?: number;
    readonly epoch: number;
    readonly transaction_id?: string;
    readonly mutation_id?: string;
  };
  readonly kind: { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
}

/** An event of the log: where it ends, and the type it is about, for filters. */
export interface StreamEvent {
  readonly sequence: number;
  readonly type: string;
  readonly wire: WireEvent;
}

/** A log entry and the record it left as clients see it; null for deletes and what could not be built. */
export interface RenderedEntry {
  readonly entry: LogEntry;
  readonly resource: WireResource | null;
}

/** The id of an event follows from its transaction and place, so that it is the same whenever it is sent. */
function eventId(transactionId: string, sequence: number): string {
  return transactionId.slice(0, -8) + (sequence >>> 0).toString(16).padStart(8, "0");
}

function kindOf(run: readonly RenderedEntry[]): WireEvent["kind"] {
  const [first] = run;
  if (first === undefined) throw new Error("Bug: an event of no entries");
  const { entry, resource } = first;
  const resource_type = entry.modelType;
  if (entry.modelType === BULK_MODEL_TYPE) {
    const { model, token, affected_count, mode, hints, interrupted } = entry.data ?? {};
    return {
      type: "BulkOperationCompleted",
      data: {
        resource_type: model,
        affected_count,
        operation_token: token,
        mode,
        hints,
        ...(interrupted === true ? { interrupted } : {}),
      },
    };
  }
  if (run.length === 1 && entry.operation === null) {
    return entry.changeType === "delete"
      ? {
          type: "ResourceDeleted",
          data: { resource_type, resource_id: entry.recordId, version: entry.version },
        }
      : {
          type: "ResourceChanged",
          data: {
            resource_type,
            resource,
            ...(resource === null ? { resource_id: entry.recordId } : {}),
          },
        };
  }
  // What is left of each record: one that was made and deleted again is deleted, and the other way round.
  const last = [...new Map(run.map((one) => [one.entry.recordId, one])).values()];
  const idsOf = (isWanted: (one: RenderedEntry) => boolean): string[] =>
    last.filter(isWanted).map((one) => one.entry.recordId);
  const unbuilt = idsOf((one) => one.resource === null && one.entry.changeType !== "delete");
  return {
    type: "ResourceBatchChanged",
    data: {
      resource_type,
      resources: last.flatMap((one) => one.resource ?? []),
      deleted_ids: idsOf((one) => one.entry.changeType === "delete"),
      operation: entry.operation ?? "Update",
      // As `resource_id` of one record: they changed, and have to be asked for.
      ...(unbuilt.length > 0 ? { resource_ids: unbuilt } : {}),
    },
  };
}

/**
 * The events of entries in order: one a transaction and type. `span` counts the positions since the
 * event before, so that a client sees a gap by arithmetic; `rest` tells whether a transaction is whole.
 */
export function toEvents(
  rendered: readonly RenderedEntry[],
  context: { readonly libraryId: string; readonly after: number },
): StreamEvent[] {
  const events: StreamEvent[] = [];
  const ends = new Map(
    rendered.map(({ entry: { transactionId, sequence } }) => [transactionId, sequence]),
  );
  let covered = context.after;
  for (let start = 0; start < rendered.length;) {
    const head = rendered[start]?.entry;
    if (head === undefined) break;
    let end = start + 1;
    const isSame = (other: LogEntry | undefined) =>
      other?.transactionId === head.transactionId && other.modelType === head.modelType;
    while (isSame(rendered[end]?.entry)) end += 1;
    const run = rendered.slice(start, end);
    const sequence = run.at(-1)?.entry.sequence ?? head.sequence;
    const rest = (ends.get(head.transactionId) ?? sequence) - sequence;
    events.push({
      sequence,
      type: head.modelType === BULK_MODEL_TYPE ? String(head.data?.["model"]) : head.modelType,
      wire: {
        envelope: {
          id: eventId(head.transactionId, sequence),
          timestamp: new Date(head.timestampMs).toISOString(),
          library_id: context.libraryId,
          sequence,
          span: sequence - covered,
          ...(rest > 0 ? { rest } : {}),
          epoch: head.epoch,
          transaction_id: head.transactionId,
          ...(head.mutationId === null ? {} : { mutation_id: head.mutationId }),
        },
        kind: kindOf(run),
      },
    });
    covered = sequence;
    start = end;
  }
  return events;
}
