import type { Database, Statement } from "../store/database.ts";

/** How far a snapshot has come; kept with the rows it brought, so that a killed one goes on. */
export interface Snapshot {
  /** Still to read, the current one first. A type that stands twice is brought in two passes. */
  readonly types: readonly string[];
  /** The last id of the current type that is stored. */
  readonly key: string;
  /** Where the log goes on: no record of the snapshot is older than this. */
  readonly sequence: number;
  readonly historyId: string;
  /** A full snapshot replaces the log too; a partial one mends some types. */
  readonly isFull: boolean;
}

/** The `follower` row of a library: whom it follows, and what it is in the middle of. */
export interface Progress {
  readonly leaderUrl: string;
  /** How far the library's log goes. */
  readonly head: number;
  readonly snapshot: Snapshot | null;
  /** A full snapshot was completed once, so that the log goes on from the head. */
  readonly isBackfilled: boolean;
  /** A snapshot has brought records that the log has not come to yet, or may have. */
  readonly isAhead: boolean;
  readonly noticedTypes: readonly string[];
}

/** Until where the log must come before it explains every record: the sequence a snapshot leaves behind. */
const IS_AHEAD = `(snapshot_types IS NOT NULL OR snapshot_sequence > (SELECT head FROM library)
  OR (snapshot_history_id IS NULL AND snapshot_sequence IS NOT NULL))`;

export async function readProgress(database: Database): Promise<Progress | null> {
  const [rows = []] = await database.read([
    {
      sql: `SELECT leader_url, snapshot_types, snapshot_key, snapshot_sequence, snapshot_history_id, is_full,
        noticed_types, ${IS_AHEAD}, (SELECT head FROM library) FROM follower`,
      args: [],
    },
  ]);
  const [row] = rows;
  if (row === undefined) return null;
  const types = row[1] as string | null;
  return {
    leaderUrl: row[0] as string,
    snapshot:
      types === null
        ? null
        : {
            types: JSON.parse(types) as string[],
            key: row[2] as string,
            sequence: (row[3] as number | null) ?? 0,
            historyId: (row[4] as string | null) ?? "",
            isFull: row[5] === 1,
          },
    isBackfilled: types === null && row[4] !== null,
    isAhead: row[7] === 1,
    head: row[8] as number,
    noticedTypes: JSON.parse(row[6] as string) as string[],
  };
}

/** Moves nothing, and aborts the batch it stands in unless something is so of the `follower` row. */
const whileSo = (condition: string, args: Statement["args"] = []): Statement => ({
  sql: `INSERT INTO follow (head, next, epoch)
    SELECT iif(EXISTS (SELECT 1 FROM follower WHERE ${condition}), head, -1), head, epoch FROM library`,
  args,
});

/** Aborts the batch it stands in once the library was promoted, at whichever node. */
export const whileFollowing: Statement = whileSo("1");

/** The same once a snapshot has begun: then the log does not explain every record. */
export const whileExplained: Statement = whileSo(`NOT ${IS_AHEAD}`);

/** Where a copy stands: its log, and the snapshot it is in the middle of. */
export type Place = Pick<Progress, "head" | "snapshot">;

/**
 * The same when another node of this service has moved the copy from there: what was read before that
 * may be older than what stands here by now.
 */
export const whileAt = ({ head, snapshot }: Place): Statement =>
  whileSo(
    `(SELECT head FROM library) = ? AND snapshot_types IS ?
      AND (snapshot_types IS NULL OR (snapshot_key = ? AND snapshot_sequence = ?))`,
    snapshot === null
      ? [head, null, null, null]
      : [head, JSON.stringify(snapshot.types), snapshot.key, snapshot.sequence],
  );

/** Keeps how far a snapshot has come. What stands in its batch is done only where the copy was `before`. */
export function saveSnapshot(snapshot: Snapshot, before: Place): Statement[] {
  return [
    whileAt(before),
    {
      sql: `UPDATE follower SET snapshot_types = ?, snapshot_key = ?, snapshot_sequence = ?,
        snapshot_history_id = ?, is_full = ?`,
      args: [
        JSON.stringify(snapshot.types),
        snapshot.key,
        snapshot.sequence,
        snapshot.historyId,
        snapshot.isFull ? 1 : 0,
      ],
    },
  ];
}

/** Ends a snapshot, whose records are none of them newer than the leader's entry `newest`. */
export const endSnapshot = (newest: number): Statement => ({
  sql: "UPDATE follower SET snapshot_types = NULL, snapshot_key = '', snapshot_sequence = ?",
  args: [newest],
});

/** Gives a snapshot up, so that the next one is a full one from the start. */
export const abandonSnapshot = (before: Place): Statement[] => [
  whileAt(before),
  {
    sql: "UPDATE follower SET snapshot_types = NULL, snapshot_key = '', snapshot_history_id = NULL",
    args: [],
  },
];

export function saveNoticed(types: readonly string[]): Statement {
  return { sql: "UPDATE follower SET noticed_types = ?", args: [JSON.stringify(types)] };
}
