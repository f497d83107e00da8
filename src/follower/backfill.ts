import { PAGE_BYTES, sizeOf } from "../base/size.ts";
import { assignFields } from "../commit/remote.ts";
import { sumType } from "../commit/remote-snapshot.ts";
import type { SnapshotPage } from "../commit/remote-snapshot.ts";
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
  whileAt,
} from "./progress.ts";
import type { Place, Snapshot } from "./progress.ts";
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

/** Records brought in one transaction, unless PAGE_BYTES end it before. */
const PAGE = 500;
/** Records that stand in the way of a page and go in one transaction. */
const PART = 2_000;
/** The last id there can be: behind it a type has only tombstones. */
const LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

function brokenOff(detail: string): SyncError {
  return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

export function otherHistory({ replica }: BackfillContext, detail: string): SyncError {
  const { historyId, head } = replica.state;
  return new SyncError("history_changed", { historyId, head }, { detail });
}

/** Ends a snapshot in whose middle the leader has come to have another history. */
async function giveUp(context: BackfillContext, place: Place): Promise<never> {
  // A person decides whether that history replaces this one; who has decided so begins again.
  if (place.snapshot?.isFull !== true)
    throw otherHistory(context, "The leader has another history.");
  await context.replica.database.write(abandonSnapshot(place));
  throw brokenOff("The leader's history changed during the snapshot; it begins again.");
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

type Page = Pick<SnapshotPage, "rows" | "tombstones">;

/**
 * Where a part of a range ends that holds more records here than one transaction should delete: of
 * those between two records that the leader still has, it may have deleted all. Null for the rest.
 */
async function findPart(
  database: Database,
  { tableName }: CompiledResource,
  { after, upTo }: { readonly after: string; readonly upTo: string },
): Promise<string | null> {
  const sql = `SELECT "id" FROM "${tableName}" WHERE "id" > ? AND "id" < ? ORDER BY "id" LIMIT 1 OFFSET ?`;
  const [rows = []] = await database.readPrimary([{ sql, args: [after, upTo, PART - 1] }]);
  return (rows[0]?.[0] as string | undefined) ?? null;
}

/** The type whose turn it is. */
const currentOf = ({ types: [name = ""] }: Snapshot): string => name.replace("*", "");

/** Applies pages, each of which moves the progress it was given in its own transaction. */
function createPages(context: BackfillContext, head: number, start: Snapshot) {
  const { replica, registry, telemetry } = context;
  let progress = start;
  const save = (next: Snapshot) => saveSnapshot(next, { head, snapshot: progress });
  return {
    get progress() {
      return progress;
    },
    apply: async (key: string, page: Page): Promise<void> => {
      const [pass = ""] = progress.types;
      const next: Snapshot = { ...progress, key };
      await replica.manager.applySnapshot({
        resource: registry.resource(currentOf(progress)),
        after: progress.key,
        upTo: key === LAST_ID ? null : key,
        ...page,
        isFirstPass: progress.types.includes(again(pass)),
        progress: save(next),
      });
      telemetry.count("follower_records", page.rows.length);
      progress = next;
    },
    /** Goes on with the next type. */
    finish: async (statement: Statement): Promise<void> => {
      const [, ...types] = progress.types;
      const next: Snapshot = { ...progress, types, key: "" };
      await replica.database.write([statement, ...save(next)]);
      progress = next;
    },
  };
}

/** Stores the lines of one stream, page by page. */
function createStore(context: BackfillContext, head: number, start: Snapshot) {
  const { replica, registry } = context;
  const pass = passOf(start);
  const pages = createPages(context, head, start);
  let rows: Row[] = [];
  let tombstones: { id: string; version: number }[] = [];
  let bytes = 0;

  const flush = async (isEnd: boolean): Promise<void> => {
    const resource = registry.resource(currentOf(pages.progress));
    const key = isEnd
      ? LAST_ID
      : ((rows.at(-1)?.["id"] as string | undefined) ?? pages.progress.key);
    for (;;) {
      const part = await findPart(replica.database, resource, {
        after: pages.progress.key,
        upTo: key,
      });
      if (part === null) break;
      const isIn = (row: Row): boolean => (row["id"] as string) <= part;
      await pages.apply(part, { rows: rows.filter(isIn), tombstones: [] });
      rows = rows.filter((row) => !isIn(row));
    }
    await pages.apply(key, { rows, tombstones });
    rows = [];
    tombstones = [];
    bytes = 0;
  };
  const finishType = async (): Promise<void> => {
    await flush(true);
    const type = currentOf(pages.progress);
    const { count, sum } = await sumType(replica.database, registry.resource(type));
    await pages.finish({
      sql: `INSERT INTO checksums (resource_type, count, sum) VALUES (?, ?, ?)
        ON CONFLICT (resource_type) DO UPDATE SET count = excluded.count, sum = excluded.sum`,
      args: [type, count, sum],
    });
  };
  const add = async (line: SnapshotLine): Promise<void> => {
    const type = line.resource_type ?? "";
    const name = pass.name(type);
    if (!pages.progress.types.includes(name))
      throw brokenOff(`The snapshot brings ${type} out of turn.`);
    while (pages.progress.types[0] !== name) await finishType();
    if (line.deleted === undefined) rows.push(toRow(line, registry.resource(type)));
    else {
      if (pages.progress.key !== LAST_ID) await flush(true);
      tombstones.push({ id: line.deleted, version: line.version ?? 0 });
    }
    bytes += sizeOf(line.resource);
    if (rows.length + tombstones.length >= PAGE || bytes >= PAGE_BYTES)
      await flush(pages.progress.key === LAST_ID);
  };
  return {
    add,
    /** The stream ended as it should: what it named is complete. */
    finish: async (): Promise<Snapshot> => {
      for (const type of pass.types)
        if (pages.progress.types[0] === pass.name(type)) await finishType();
      return pages.progress;
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

/** What is read: of some types or all, as new or on from where it was cut off, over what stands here. */
interface Asked {
  readonly types: readonly string[] | null;
  readonly snapshot: Snapshot | null;
  readonly before: Place;
}

interface Reading {
  readonly snapshot: Snapshot;
  readonly newest: number;
}

/** Reads one stream. Resolves to what is left, and how new its records may be. */
async function readStream(context: BackfillContext, asked: Asked): Promise<Reading> {
  const { types, snapshot } = asked;
  const wanted = snapshot === null ? types : passOf(snapshot).types;
  const afterKey = snapshot === null ? null : `${wanted?.[0] ?? ""}:${snapshot.key}`;
  const lines = context.upstream.snapshot(wanted, afterKey);
  try {
    return await storeStream(context, asked, lines);
  } finally {
    // Left in the middle it would keep its connection.
    await lines.return(undefined);
  }
}

async function storeStream(
  context: BackfillContext,
  { types, snapshot, before }: Asked,
  lines: AsyncGenerator<SnapshotLine>,
): Promise<Reading> {
  const { replica, registry } = context;
  const first = await lines.next();
  const header = first.done === true ? undefined : first.value.snapshot;
  if (header === undefined) throw brokenOff("The snapshot has no first line.");
  const isSame = header.history_id === (snapshot ?? replica.state).historyId;
  if (!isSame && (snapshot !== null || types !== null))
    await giveUp(context, { ...before, snapshot });
  let begun = snapshot;
  if (begun === null) {
    begun = toSnapshot(header, types === null, registry);
    const bury: Statement = { sql: "DELETE FROM tombstones", args: [] };
    await replica.database.write([...saveSnapshot(begun, before), ...(begun.isFull ? [bury] : [])]);
  }
  const store = createStore(context, before.head, begun);
  for await (const line of lines) {
    if (line.end !== undefined)
      return { snapshot: await store.finish(), newest: line.end.newest ?? 0 };
    await store.add(line);
  }
  throw brokenOff("The snapshot broke off.");
}

/** Takes over where the leader's log goes on: the replica's own log begins there. */
async function completeFull(
  { replica, reopen }: BackfillContext,
  { head, snapshot }: Place & { readonly snapshot: Snapshot },
  { leader, newest }: { readonly leader: LeaderDescription; readonly newest: number },
): Promise<void> {
  const { sequence, historyId } = snapshot;
  await replica.database.write([
    whileAt({ head, snapshot }),
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
    endSnapshot(newest),
  ]);
  await reopen();
}

/** Whether a snapshot of `types` may go on as one that was begun before, perhaps by another node. */
function isCovered(types: readonly string[], begun: Snapshot, least: number): boolean {
  const isThere = (type: string) => begun.types.includes(type) || begun.types.includes(again(type));
  return begun.isFull || (begun.sequence >= least && types.every(isThere));
}

/**
 * Makes the replica's records of `types` (null: all) equal to the leader's, at least as they were at
 * `least`, and goes on with a snapshot that was cut off. Resolves to the sequence the records are at
 * least as new as.
 *
 * @throws unknown_resource_type when the leader has a type that this device does not know
 */
export async function takeSnapshot(
  context: BackfillContext,
  types: readonly string[] | null,
  least = 0,
): Promise<number> {
  const { replica, upstream } = context;
  const { database } = replica;
  const before: Place = (await readProgress(database)) ?? { head: 0, snapshot: null };
  const begun = before.snapshot;
  // A full snapshot covers a partial one that was cut off.
  let snapshot = types === null && begun?.isFull === false ? null : begun;
  let newest = 0;
  while (snapshot === null || snapshot.types.length > 0) {
    ({ snapshot, newest } = await readStream(context, { types, snapshot, before }));
  }
  const leader = await upstream.describe();
  const place = { head: before.head, snapshot };
  if (leader.historyId !== snapshot.historyId) await giveUp(context, place);
  newest = Math.max(newest, leader.head);
  if (snapshot.isFull) await completeFull(context, place, { leader, newest });
  else await database.write([whileAt(place), endSnapshot(newest)]);
  if (types === null || begun === null || isCovered(types, begun, least)) return snapshot.sequence;
  return takeSnapshot(context, types, least);
}
