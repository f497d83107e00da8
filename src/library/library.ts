import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import { createBulk } from "../commit/bulk.ts";
import type { Bulk } from "../commit/bulk.ts";
import { createCommitter } from "../commit/committer.ts";
import type { Committer } from "../commit/committer.ts";
import type { CommittedEntry, GroupPlan } from "../commit/group.ts";
import { createManager } from "../commit/manager.ts";
import type { TransactionManager } from "../commit/manager.ts";
import { acquireLease, isLeader, readState, releaseLease, renewLease } from "../lease/lease.ts";
import type { LeaseOptions, LibraryState } from "../lease/lease.ts";
import { decodeEntries, selectSurvivors } from "../log/sync-log.ts";
import { trimLog } from "../log/retention.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { toWireResource } from "../resource/compile.ts";
import type { Reader } from "../resource/define.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import { coreMigrations } from "../store/migrations.ts";
import { migrate } from "../store/migrate.ts";
import { toEvents } from "../stream/event.ts";
import type { WireEvent } from "../stream/event.ts";
import { createHub } from "../stream/hub.ts";
import type { Hub } from "../stream/hub.ts";
import { renderEntries } from "../stream/render.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

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
  /** Creates the library's row when the database is new. */
  readonly identity: {
    readonly id: string;
    readonly name: string;
    readonly description: string | null;
  };
}

/** The migrations of the core and of every plugin that brings its own. */
export function allMigrations(registry: Registry): Record<string, string> {
  const migrations: Record<string, string> = { ...coreMigrations };
  for (const plugin of registry.plugins) {
    for (const [tag, sql] of Object.entries(plugin.migrations ?? {})) {
      migrations[`plugin/${plugin.name}/${tag}`] = sql;
    }
  }
  return migrations;
}

async function prepare(options: LibraryOptions): Promise<LibraryState> {
  const { database, identity, clock, lease, registry } = options;
  await migrate(database, allMigrations(registry), clock.now());
  await database.write([
    {
      sql: `INSERT INTO library (id, name, description, history_id, head, epoch, lease_expires_at, oldest_sequence,
        created_at) SELECT ?, ?, ?, ?, 0, 0, 0, 1, ? WHERE NOT EXISTS (SELECT 1 FROM library)`,
      args: [identity.id, identity.name, identity.description, createId(), clock.now()],
    },
    acquireLease(lease),
  ]);
  const state = await readState(database, lease.deviceId);
  if (state === null) throw new Error("Bug: a library without its row");
  return state;
}

/** Survivors of at most this many entries are read for one page of catch-up. */
const CATCH_UP_ENTRIES = 2_000;

export async function openLibrary(options: LibraryOptions): Promise<Library> {
  const { database, registry, clock, limits, telemetry } = options;
  const state = await prepare(options);
  const reader: Reader = { db: database.drizzle, libraryId: state.id };
  const renderer = { registry, database, reader };
  const waiting = new Set<() => void>();

  const hub = createHub({
    head: state.head,
    clock,
    limits,
    telemetry,
    readLog: async (after, head) => {
      const end = Math.min(head, after + CATCH_UP_ENTRIES);
      const [rows = []] = await database.read([selectSurvivors(after, end)]);
      const rendered = await renderEntries(decodeEntries(rows), renderer);
      return { events: toEvents(rendered, { libraryId: state.id, after }), end };
    },
  });
  const announce = (type: string, data: Readonly<Record<string, unknown>>): void => {
    const envelope: WireEvent["envelope"] = {
      id: createId(),
      timestamp: new Date(clock.now()).toISOString(),
      library_id: state.id,
      epoch: state.epoch,
    };
    hub.broadcast({ envelope, kind: { type, data } });
  };

  // Events leave in commit order: what must be built first holds back what comes after it (TM-13).
  let published = Promise.resolve();
  let unpublishedCount = 0;
  const publish = (plan: Pick<GroupPlan, "entries" | "committed" | "conflicts">): void => {
    const after = state.head - plan.entries.length;
    const { head } = state;
    const context = { libraryId: state.id, after };
    const isPlain = plan.committed.every(
      ({ slot }) => slot.resource.definition.build === undefined,
    );
    if (isPlain && unpublishedCount === 0) {
      const rendered = plan.committed.map(({ entry, slot }) => ({
        entry,
        resource: slot.row === null ? null : toWireResource(slot.resource, slot.row),
      }));
      hub.publish(toEvents(rendered, context), head);
    } else {
      unpublishedCount += 1;
      published = published
        .then(() => renderEntries(plan.entries, renderer))
        .catch((error: unknown) => {
          telemetry.log("error", "Resources could not be built; events carry their ids only.", {
            error,
          });
          return plan.entries.map((entry) => ({ entry, resource: null }));
        })
        .then((rendered) => hub.publish(toEvents(rendered, context), head))
        .finally(() => (unpublishedCount -= 1));
    }
    for (const wake of waiting) wake();
    for (const conflict of plan.conflicts) {
      announce("ConflictDetected", {
        conflict_id: conflict.id,
        resource_type: conflict.change.resource.type,
        resource_id: conflict.change.id,
      });
    }
  };
  const onFenced = (): void => {
    state.leaderDeviceId = null;
    telemetry.count("lease_changes", 1, { to: "lost" });
    telemetry.log("error", "Another epoch leads this library; this node stops writing.", {
      library_id: state.id,
    });
  };
  const committer = createCommitter({
    database,
    state,
    ordered: registry.resources,
    clock,
    limits,
    telemetry,
    onCommitted: publish,
    onFenced,
  });
  const publishEntries = (committed: readonly CommittedEntry[]): void =>
    publish({ entries: committed.map(({ entry }) => entry), committed, conflicts: [] });
  const bulk = createBulk({
    database,
    committer,
    registry,
    state,
    clock,
    limits,
    telemetry,
    onCommitted: publishEntries,
  });
  if (isLeader(state)) await bulk.closeInterrupted();
  const manager = createManager({
    database,
    committer,
    registry,
    reader,
    limits,
    state,
    now: () => clock.now(),
    onCommitted: publishEntries,
  });
  const stopRenewing = clock.every(options.lease.leaseMs / 3, () => {
    if (!isLeader(state)) return;
    database
      .write([renewLease(options.lease, state.epoch)])
      .then(([rows]) => (rows?.length === 0 ? onFenced() : undefined))
      .catch((error: unknown) =>
        telemetry.log("error", "The lease could not be renewed.", { error }),
      );
  });
  const stopTrimming = clock.every(limits.trimEveryMs, () => {
    committer
      .exclusive(() => trimLog(database, state, clock.now() - limits.retentionMs))
      .then((count) => telemetry.count("entries_trimmed", count))
      .catch((error: unknown) =>
        telemetry.log("error", "The log could not be trimmed.", { error }),
      );
  });
  const stopSweeping = clock.every(1_000, () => hub.sweep());

  return {
    state,
    database,
    reader,
    committer,
    manager,
    bulk,
    hub,
    announce,
    reached: (sequence) => waitFor(sequence, { state, waiting, clock, limits }),
    close: async () => {
      await committer.drained();
      await published;
      stopRenewing();
      stopTrimming();
      stopSweeping();
      hub.goodbye("shutdown", 1_000);
      if (isLeader(state)) await database.write([releaseLease(state.deviceId, state.epoch)]);
      database.close();
    },
  };
}

async function waitFor(
  sequence: number,
  context: { state: LibraryState; waiting: Set<() => void>; clock: Clock; limits: Limits },
): Promise<void> {
  const { state, waiting, clock, limits } = context;
  if (state.head >= sequence) return;
  await new Promise<void>((resolve, reject) => {
    const wake = (): void => {
      if (state.head < sequence) return;
      waiting.delete(wake);
      resolve();
    };
    waiting.add(wake);
    void clock.sleep(limits.minSequenceWaitMs).then(() => {
      if (!waiting.delete(wake)) return;
      const detail = `This node has sequence ${state.head}, not yet ${sequence}.`;
      reject(new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail }));
    });
  });
}
