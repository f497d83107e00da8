import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import type { CommittedEntry, GroupPlan } from "../commit/group.ts";
import type { LibraryState } from "../lease/lease.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { toWireResource } from "../resource/compile.ts";
import type { Span, Telemetry } from "../telemetry/telemetry.ts";
import { toEvents } from "./event.ts";
import type { RenderedEntry } from "./event.ts";
import type { Hub } from "./hub.ts";

/** Turns what was committed into events of the hub. */
export interface Publisher {
  /** Call after the transaction is durable and the head has moved, in commit order. */
  publish(plan: Pick<GroupPlan, "entries" | "committed" | "conflicts">, span?: Span): void;
  publishEntries(committed: readonly CommittedEntry[], span?: Span): void;
  /** Tells listeners something that is not in the log. */
  announce(type: string, data: Readonly<Record<string, unknown>>): void;
  /** Resolves once everything published so far is in the hub. */
  settled(): Promise<void>;
}

export interface PublisherOptions {
  readonly hub: Hub;
  readonly state: LibraryState;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Gives entries the records they left, with a read for those that are built. */
  readonly render: (entries: readonly LogEntry[]) => Promise<RenderedEntry[]>;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { hub, state, clock, telemetry, render } = options;
  // Events leave in commit order: what must be built first holds back what comes after it (TM-13).
  let published = Promise.resolve();
  let unpublishedCount = 0;

  const announce: Publisher["announce"] = (type, data) => {
    const timestamp = new Date(clock.now()).toISOString();
    const envelope = { id: createId(), timestamp, library_id: state.id, epoch: state.epoch };
    hub.broadcast({ envelope, kind: { type, data } });
  };
  const deliver = (rendered: readonly RenderedEntry[], head: number, parent?: Span): void => {
    const span = telemetry.span("stream.deliver", { head, subscribers: hub.size }, { parent });
    const context = { libraryId: state.id, after: head - rendered.length };
    hub.publish(toEvents(rendered, context), head);
    span.end();
  };
  const publish: Publisher["publish"] = ({ entries, committed, conflicts }, span) => {
    const { head } = state;
    const isPlain = committed.every(({ slot }) => slot.resource.definition.build === undefined);
    if (unpublishedCount === 0 && hub.size === 0) {
      // Nobody listens: the log has it for whoever comes.
      hub.publish([], head);
    } else if (isPlain && unpublishedCount === 0) {
      const rendered = committed.map(({ entry, slot }) => ({
        entry,
        resource: slot.row === null ? null : toWireResource(slot.resource, slot.row),
      }));
      deliver(rendered, head, span);
    } else {
      unpublishedCount += 1;
      published = published
        .then(() => render(entries))
        .catch((error: unknown) => {
          const message = "Resources could not be read; events carry their ids only.";
          telemetry.log("error", message, { error });
          return entries.map((entry) => ({ entry, resource: null }));
        })
        .then((rendered) => deliver(rendered, head, span))
        .finally(() => (unpublishedCount -= 1));
    }
    for (const { id, change } of conflicts) {
      announce("ConflictDetected", {
        conflict_id: id,
        resource_type: change.resource.type,
        resource_id: change.id,
      });
    }
  };
  return {
    publish,
    publishEntries: (committed, span) =>
      publish({ entries: committed.map(({ entry }) => entry), committed, conflicts: [] }, span),
    announce,
    settled: () => published,
  };
}
