import type { Clock } from "../base/clock.ts";
import { createBulk } from "../commit/bulk.ts";
import type { Bulk } from "../commit/bulk.ts";
import { createCommitter } from "../commit/committer.ts";
import type { Committer } from "../commit/committer.ts";
import { createManager } from "../commit/manager.ts";
import type { TransactionManager } from "../commit/manager.ts";
import { isLeader, releaseLease, renewLease } from "../lease/lease.ts";
import type { LeaseOptions, LibraryState } from "../lease/lease.ts";
import { trimLog } from "../log/retention.ts";
import type { LogEntry } from "../log/sync-log.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Reader } from "../resource/define.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import { createCodec } from "../stream/codec.ts";
import { createHub } from "../stream/hub.ts";
import type { Hub } from "../stream/hub.ts";
import { createLogReader } from "../stream/log-reader.ts";
import { createPublisher } from "../stream/publish.ts";
import { renderEntries } from "../stream/render.ts";
import { structuresOf } from "../stream/structures.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createArrivals } from "./arrivals.ts";
import { prepareLibrary } from "./prepare.ts";
import type { LibraryIdentity } from "./prepare.ts";

/** One open library: its database, its writer and its listeners. */
export interface Library {
  readonly state: LibraryState;
  readonly database: Database;
  readonly reader: Reader;
  readonly committer: Committer;
  readonly manager: TransactionManager;
  readonly bulk: Bulk;
  readonly hub: Hub;
  /** Resolves once `sequence` is committed here. @throws overloaded after the limit */
  reached(sequence: number): Promise<void>;
  /** Tells listeners something that is not in the log. */
  announce(type: string, data: Readonly<Record<string, unknown>>): void;
  close(): Promise<void>;
}

export interface LibraryOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly lease: LeaseOptions;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly identity: LibraryIdentity;
}

/** What recurs while a library is open: renewing the lease, trimming the log, sweeping streams. */
function startChores(
  options: LibraryOptions,
  parts: Pick<Library, "state" | "committer" | "hub"> & { onFenced: () => void },
): () => void {
  const { database, clock, limits, telemetry, lease } = options;
  const { state, committer, hub, onFenced } = parts;
  const chores = [
    clock.every(lease.leaseMs / 3, () => {
      if (!isLeader(state)) return;
      database
        .write([renewLease(lease, state.epoch)])
        .then(([rows]) => (rows?.length === 0 ? onFenced() : undefined))
        .catch((error: unknown) =>
          telemetry.log("error", "The lease could not be renewed.", { error }),
        );
    }),
    clock.every(limits.trimEveryMs, () => {
      committer
        .exclusive(() => trimLog(database, state, clock.now() - limits.retentionMs))
        .then((count) => telemetry.count("entries_trimmed", count))
        .catch((error: unknown) =>
          telemetry.log("error", "The log could not be trimmed.", { error }),
        );
    }),
    clock.every(1_000, () => hub.sweep()),
  ];
  return () => {
    for (const stop of chores) stop();
  };
}

/** Opens one library: prepares its database, then joins its parts. */
export async function openLibrary(options: LibraryOptions): Promise<Library> {
  const { database, registry, telemetry } = options;
  const state = await prepareLibrary(options);
  const reader: Reader = { db: database.drizzle, libraryId: state.id };
  const render = (entries: readonly LogEntry[]) =>
    renderEntries(entries, { registry, database, reader });
  const readLog = createLogReader({ ...options, state, render });
  const codec = createCodec(structuresOf(registry));
  const hub = createHub({ ...options, head: state.head, codec, readLog });
  const publisher = createPublisher({ ...options, hub, state, render });
  const arrivals = createArrivals({ ...options, state });
  const onFenced = (): void => {
    state.leaderDeviceId = null;
    telemetry.count("lease_changes", 1, { to: "lost" });
    telemetry.log("error", "Another epoch leads this library; this node stops writing.", {
      library_id: state.id,
    });
  };
  const onCommitted: typeof publisher.publish = (plan) => {
    publisher.publish(plan);
    arrivals.moved();
  };
  const onEntries: typeof publisher.publishEntries = (committed) => {
    publisher.publishEntries(committed);
    arrivals.moved();
  };
  const shared = { ...options, state, reader, now: () => options.clock.now() };
  const ordered = registry.resources;
  const committer = createCommitter({ ...shared, ordered, onCommitted, onFenced });
  const bulk = createBulk({ ...shared, committer, onCommitted: onEntries });
  if (isLeader(state)) await bulk.closeInterrupted();
  const manager = createManager({ ...shared, committer, onCommitted: onEntries });
  const stopChores = startChores(options, { state, committer, hub, onFenced });

  return {
    state,
    database,
    reader,
    committer,
    manager,
    bulk,
    hub,
    announce: (type, data) => publisher.announce(type, data),
    reached: (sequence) => arrivals.reached(sequence),
    close: async () => {
      await committer.drained();
      await publisher.settled();
      stopChores();
      hub.goodbye("shutdown", 1_000);
      if (isLeader(state)) await database.write([releaseLease(state.deviceId, state.epoch)]);
      database.close();
    },
  };
}
