import { assignFields } from "../commit/remote.ts";
import { sumType } from "../commit/remote-snapshot.ts";
import type { TransactionManager } from "../commit/manager.ts";
import type { LibraryState } from "../lease/lease.ts";
import { SyncError } from "../protocol/errors.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { Reader } from "../resource/define.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database, Statement } from "../store/database.ts";
import type { Hub } from "../stream/hub.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { reclaim } from "./outbox.ts";
import {
  abandonSnapshot,
  endSnapshot,
  readProgress,
  saveNoticed,
  saveSnapshot,
} from "./progress.ts";
import type { Snapshot } from "./progress.ts";
import type { LeaderDescription, SnapshotLine, Upstream } from "./upstream.ts";

/** An open library, as its follower needs it. */
export interface Replica {
  readonly state: LibraryState;
  readonly database: Database;
  readonly reader: Reader;
  readonly manager: Pick<TransactionManager, "applyRemote" | "applySnapshot">;
  readonly hub: Pick<Hub, "reset" | "broadcast">;
}

export interface BackfillContext {
  readonly replica: Replica;
  readonly upstream: Upstream;
  readonly registry: Registry;
  readonly telemetry: Telemetry;
  /** Opens the replica afresh: its head moved otherwise than by its log, and listeners must know. */
  readonly reopen: () => Promise<void>;
}

/** Records brought in one transaction. */
const PAGE = 500;
/** Behind every id: a page that only brings tombstones has no range of rows. */
const BEHIND_ALL = "\u{10ffff}";

function brokenOff(detail: string): SyncError {
  return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

function toRow(line: SnapshotLine, resource: CompiledResource): Row {
  const { id = "", version = 0, ...fields } = line.resource ?? {};
  const { device_id, created_at, updated_at } = line.origin ?? {};
  const row = { id, version, created_at, updated_at, origin_device_id: device_id };
  return assignFields(row, fields, resource);
}

/** Marks the second pass of a type whose circle is closed by a nullable reference. */
const again = (type: string) => `${type}*`;

function withSecondPass(types: readonly string[], registry: Registry): string[] {
  const cyclic = types.filter(
    (type) => registry.resource(type).definition.sync.breakCycle !== undefined,
  );
  return [...types, ...cyclic.map(again)];
}

/** The types of the pass that runs, and the name a type has in it. */
function passOf({ types }: Snapshot): { types: string[]; name: (type: string) => string } {
  const isSecond = types[0]?.endsWith("*") === true;
  const own = types.filter((type) => type.endsWith("*") === isSecond);
  return isSecond
    ? { types: own.map((type) => type.slice(0, -1)), name: again }
    : { types: own, name: (type) => type };
}

/** Stores the lines of one stream, page by page. Each page moves the progress it was given. */
function createStore(context: BackfillContext, start: Snapshot) {
  const { replica, registry, telemetry } = context;
  const pass = passOf(start);
  let progress = start;
  let rows: Row[] = [];
  let tombstones: { id: string; version: number }[] = [];
  let areRowsDone = false;

  const flush = async (isEnd: boolean): Promise<void> => {
    const [current = ""] = progress.types;
    const resource = registry.resource(current.replace("*", ""));
    const key = (rows.at(-1)?.["id"] as string | undefined) ?? progress.key;
    const next: Snapshot = { ...progress, key };
    await replica.manager.applySnapshot({
      resource,
      after: areRowsDone ? BEHIND_ALL : progress.key,
      upTo: isEnd ? null : key,
      rows,
      tombstones,
      isFirstPass: progress.types.includes(again(current)),
      progress: saveSnapshot(next),
    });
    telemetry.count("follower_records", rows.length);
    areRowsDone ||= isEnd;
    progress = next;
    rows = [];
    tombstones = [];
  };
  const finishType = async (): Promise<void> => {
    await flush(true);
    const [current = "", ...types] = progress.types;
    const type = current.replace("*", "");
    const { count, sum } = await sumType(replica.database, registry.resource(type));
    progress = { ...progress, types, key: "" };
    areRowsDone = false;
    await replica.database.write([
      {
        sql: `INSERT INTO checksums (resource_type, count, sum) VALUES (?, ?, ?)
          ON CONFLICT (resource_type) DO UPDATE SET count = excluded.count, sum = excluded.sum`,
        args: [type, count, sum],
      },
      ...saveSnapshot(progress),
    ]);
  };
  const add = async (line: SnapshotLine): Promise<void> => {
    const type = line.resource_type ?? "";
    const name = pass.name(type);
    if (!progress.types.includes(name)) throw brokenOff(`The snapshot brings ${type} out of turn.`);
    while (progress.types[0] !== name) await finishType();
    if (line.deleted === undefined) rows.push(toRow(line, registry.resource(type)));
    else {
      if (!areRowsDone) await flush(true);
      tombstones.push({ id: line.deleted, version: line.version ?? 0 });
    }
    if (rows.length + tombstones.length >= PAGE) await flush(areRowsDone);
  };
  return {
    add,
    /** The stream ended as it should: what it named is complete. */
    finish: async (): Promise<Snapshot> => {
      for (const type of pass.types) if (progress.types[0] === pass.name(type)) await finishType();
      return progress;
    },
  };
}

/** Begins: the leader says which types there are and where its log goes on. */
function toSnapshot(header: SnapshotLine["snapshot"], isFull: boolean, registry: Registry) {
  if (header === undefined) throw brokenOff("The snapshot has no first line.");
  for (const type of header.types) registry.resource(type);
  const snapshot: Snapshot = {
    types: withSecondPass(header.types, registry),
    key: "",
    sequence: header.sequence,
    historyId: header.history_id,
    isFull,
  };
  return snapshot;
}

async function readStream(
  context: BackfillContext,
  asked: { readonly types: readonly string[] | null; readonly snapshot: Snapshot | null },
): Promise<Snapshot> {
  const { replica, upstream, registry } = context;
  const { types, snapshot } = asked;
  const wanted = snapshot === null ? types : passOf(snapshot).types;
  const afterKey = snapshot === null ? null : `${wanted?.[0] ?? ""}:${snapshot.key}`;
  const lines = upstream.snapshot(wanted, afterKey);
  const first = await lines.next();
  const header = first.done === true ? undefined : first.value.snapshot;
  if (header === undefined) throw brokenOff("The snapshot has no first line.");
  let begun = snapshot;
  if (begun === null) {
    begun = toSnapshot(header, types === null, registry);
    const bury: Statement = { sql: "DELETE FROM tombstones", args: [] };
    await replica.database.write([...saveSnapshot(begun), ...(begun.isFull ? [bury] : [])]);
  } else if (header.history_id !== begun.historyId) {
    await replica.database.write([abandonSnapshot]);
    throw brokenOff("The leader's history changed during the snapshot; it begins again.");
  }
  const store = createStore(context, begun);
  for await (const line of lines) {
    if (line.end !== undefined) return store.finish();
    await store.add(line);
  }
  throw brokenOff("The snapshot broke off.");
}

/** Takes over where the leader's log goes on: the replica's own log begins there. */
async function completeFull(context: BackfillContext, snapshot: Snapshot): Promise<void> {
  const { replica, upstream } = context;
  const { database } = replica;
  const leader: LeaderDescription = await upstream.describe();
  if (leader.historyId !== snapshot.historyId) {
    await database.write([abandonSnapshot]);
    throw brokenOff("The leader's history changed during the snapshot; it begins again.");
  }
  const { sequence, historyId } = snapshot;
  await database.write([
    // Of what another history took, this leader has nothing.
    ...(historyId === replica.state.historyId ? [] : reclaim),
    // Everything older goes; the log may only lose what is before its oldest sequence.
    {
      sql: "UPDATE library SET epoch = 0, oldest_sequence = ? WHERE EXISTS (SELECT 1 FROM follower)",
      args: [Number.MAX_SAFE_INTEGER],
    },
    { sql: "DELETE FROM sync_log", args: [] },
    { sql: "DELETE FROM mutations", args: [] },
    {
      sql: "INSERT INTO follow (head, next, epoch) SELECT head, ?, ? FROM library",
      args: [sequence, leader.epoch],
    },
    ...reclaim,
    {
      sql: "UPDATE library SET history_id = ?, oldest_sequence = ?, leader_device_id = ?",
      args: [historyId, sequence + 1, leader.leaderDeviceId],
    },
    saveNoticed([]),
    endSnapshot,
  ]);
  await context.reopen();
}

/**
 * Makes the replica's records of `types` (null: all) equal to the leader's, and goes on with a
 * snapshot that was cut off. Resolves to the sequence the records are at least as new as.
 *
 * @throws unknown_resource_type when the leader has a type that this device does not know
 */
export async function takeSnapshot(
  context: BackfillContext,
  types: readonly string[] | null,
): Promise<number> {
  const { database } = context.replica;
  const begun = (await readProgress(database))?.snapshot ?? null;
  // A full snapshot covers a partial one that was cut off.
  let snapshot = types === null && begun?.isFull === false ? null : begun;
  while (snapshot === null || snapshot.types.length > 0) {
    snapshot = await readStream(context, { types, snapshot });
  }
  if (snapshot.isFull) await completeFull(context, snapshot);
  else await database.write([endSnapshot]);
  return snapshot.sequence;
}
