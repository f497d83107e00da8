import type { Clock } from "../base/clock.ts";
import { createBulk } from "../commit/bulk.ts";
import type { Bulk } from "../commit/bulk.ts";
import { createCommitter } from "../commit/committer.ts";
import type { Committer } from "../commit/committer.ts";
import type { CommittedEntry } from "../commit/group.ts";
import { createManager } from "../commit/manager.ts";
import type { TransactionManager } from "../commit/manager.ts";
import { isLeader } from "../lease/lease.ts";
import type { LeaseOptions, LibraryState } from "../lease/lease.ts";
import { ACTIVE_MS, trimLog } from "../log/retention.ts";
import type { Trim } from "../log/retention.ts";
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
import { createRelay } from "../stream/relay.ts";
import type { OpenUpstream, Relay } from "../stream/relay.ts";
import { renderEntries } from "../stream/render.ts";
import { structuresOf } from "../stream/structures.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createArrivals } from "./arrivals.ts";
import { createLeadership } from "./leadership.ts";
import type { Leadership } from "./leadership.ts";
import { prepareLibrary } from "./prepare.ts";
import type { LibraryIdentity } from "./prepare.ts";
import { createRoll } from "./roll.ts";
import type { Roll } from "./roll.ts";

/** One open library: its database, its writer and its listeners. */
export interface Library {
  readonly state: LibraryState;
  readonly database: Database;
  readonly reader: Reader;
  readonly committer: Committer;
  readonly manager: TransactionManager;
  readonly bulk: Bulk;
  readonly hub: Hub;
  readonly leadership: Leadership;
  readonly roll: Roll;
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
  /** How a node that does not lead reaches the leader's stream. */
  readonly openUpstream: OpenUpstream;
  /** Leaves the library open until what it returns is called. */
  readonly hold: () => () => void;
}

/** What recurs while a library is open: renewing the lease, trimming the log, minding the streams. */
function startChores(
  options: LibraryOptions,
  parts: Pick<Library, "state" | "committer" | "hub" | "leadership"> & { readonly relay: Relay },
): () => void {
  const { database, clock, limits, telemetry, lease } = options;
  const { state, committer, hub, leadership, relay } = parts;
  const report = (message: string) => (error: unknown) => {
    telemetry.log("error", message, { library_id: state.id, error });
  };
  // One that fails is tried again, less and less often: a period may be longer than a library is open.
  let trimAt = 0;
  let failures = 0;
  const trim = async (): Promise<void> => {
    // A replica's log is its own to keep short, by the same rule.
    if (!isLeader(state) && !state.isReplica) return;
    trimAt = Infinity;
    const now = clock.now();
    const times = { beforeMs: now - limits.retentionMs, activeSinceMs: now - ACTIVE_MS };
    const alone: Trim["alone"] = (run) => committer.exclusive(run);
    const trimming = trimLog(database, state, state.isReplica ? times : { ...times, alone });
    const count = await trimming.finally(options.hold());
    telemetry.count("entries_trimmed", count);
    failures = 0;
  };
  const onTrimFailed = (error: unknown): void => {
    report("The log could not be trimmed.")(error);
    trimAt = clock.monotonic() + 1_000 * 2 ** failures;
    failures += 1;
  };
  const mind = async (): Promise<void> => {
    hub.sweep();
    telemetry.gauge("library_head", state.head, { library: state.id });
    if (hub.size > 0) await leadership.refresh();
    relay.check();
  };
  const chores = [
    clock.every(lease.leaseMs / 3, () => {
      leadership.renew().catch(report("The lease could not be renewed."));
    }),
    clock.every(limits.trimEveryMs, () => {
      trim().catch(onTrimFailed);
    }),
    clock.every(1_000, () => {
      mind().catch(report("The head could not be read."));
      // A library that is closed when nobody asks for it is seldom open for as long as a period.
      if (clock.monotonic() >= trimAt) trim().catch(onTrimFailed);
    }),
  ];
  return () => {
    for (const stop of chores) stop();
    telemetry.gauge("library_head", null, { library: state.id });
  };
}

/** What a library's paths are made of, beside its options. */
interface Ground {
  readonly state: LibraryState;
  readonly reader: Reader;
}

/** The read path: what was committed, here or at the leader, reaches those who listen or wait. */
function createReadPath(
  options: LibraryOptions,
  { state, reader, refresh }: Ground & { readonly refresh: () => Promise<void> },
) {
  const { database, registry, telemetry } = options;
  const onUnbuilt = (error: unknown): void =>
    telemetry.log("error", "Resources could not be built; events carry their ids only.", { error });
  const render = (entries: readonly LogEntry[]) =>
    renderEntries(entries, { registry, database, reader, onUnbuilt });
  const readLog = createLogReader({ ...options, state, render });
  const codec = createCodec(structuresOf(registry));
  const arrivals = createArrivals({ ...options, state, refresh });
  const onMoved = (): void => arrivals.moved();
  let letGo = (): void => {};
  const onFirst = (): void => {
    letGo = options.hold();
    if (!state.isReplica) relay.start();
  };
  const onLast = (): void => letGo();
  const hub = createHub({ ...options, head: state.head, codec, readLog, onFirst, onLast });
  const publisher = createPublisher({ ...options, hub, state, render });
  const relay: Relay = createRelay({ ...options, hub, state, readLog, refresh, onMoved });
  return { arrivals, hub, publisher, relay, onMoved };
}

/** The write path: one committer, the ways into it, and the lease under which it may write. */
function createWritePath(
  options: LibraryOptions,
  { state, reader, read }: Ground & { readonly read: ReturnType<typeof createReadPath> },
) {
  const { publisher, onMoved } = read;
  const report = (committed: readonly CommittedEntry[]): void => {
    const entry = committed.at(-1)?.entry;
    if (entry === undefined) return;
    const { sequence, epoch, transactionId: transaction_id, deviceId: device_id } = entry;
    const what = { library_id: state.id, sequence, span: committed.length, epoch };
    options.telemetry.log("debug", "Committed.", { ...what, transaction_id, device_id });
  };
  const shared = { ...options, state, reader, now: () => options.clock.now() };
  const onEntries: typeof publisher.publishEntries = (committed, span) => {
    report(committed);
    publisher.publishEntries(committed, span);
    onMoved();
  };
  const committer = createCommitter({
    ...shared,
    ordered: options.registry.resources,
    onCommitted: (plan, span) => {
      report(plan.committed);
      publisher.publish(plan, span);
      onMoved();
    },
    onFenced: () => leadership.lose(),
  });
  const announce: Library["announce"] = (type, data) => publisher.announce(type, data);
  const bulk = createBulk({ ...shared, committer, announce, onCommitted: onEntries });
  const manager = createManager({ ...shared, committer, onCommitted: onEntries });
  const leadership: Leadership = createLeadership({ ...shared, ...read, committer, bulk });
  return { committer, bulk, manager, leadership, announce };
}

/** Opens one library: prepares its database, joins its parts, and leads it when nobody else does. */
export async function openLibrary(options: LibraryOptions): Promise<Library> {
  const { database, telemetry } = options;
  const state = await prepareLibrary(options);
  const reader: Reader = { db: database.drizzle, libraryId: state.id };
  const refresh = (isNewest?: boolean): Promise<void> => write.leadership.refresh(isNewest);
  const read = createReadPath(options, { state, reader, refresh });
  const write: ReturnType<typeof createWritePath> = createWritePath(options, {
    state,
    reader,
    read,
  });
  const { arrivals, hub, publisher, relay } = read;
  const { committer, leadership } = write;
  database.keepUp(() => (isLeader(state) ? Infinity : state.head));
  await leadership.lead();
  const stopChores = startChores(options, { state, committer, hub, leadership, relay });

  return {
    ...write,
    state,
    database,
    reader,
    hub,
    roll: createRoll(options),
    reached: (sequence) => arrivals.reached(sequence),
    close: async () => {
      await committer.drained();
      await publisher.settled();
      stopChores();
      hub.close();
      await leadership.release().catch((error: unknown) => {
        telemetry.log("error", "The lease could not be released.", { error });
      });
      await relay.pause();
      database.close();
    },
  };
}
