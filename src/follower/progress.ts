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
  readonly snapshot: Snapshot | null;
  /** A full snapshot was completed once, so that the log goes on from the head. */
  readonly isBackfilled: boolean;
  readonly noticedTypes: readonly string[];
}

export async function readProgress(database: Database): Promise<Progress | null> {
  const [rows = []] = await database.read([
    {
      sql: `SELECT leader_url, snapshot_types, snapshot_key, snapshot_sequence, snapshot_history_id, is_full,
        noticed_types FROM follower`,
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
    noticedTypes: JSON.parse(row[6] as string) as string[],
  };
}

/** Moves nothing, and aborts the batch it stands in once the library was promoted, at whichever node. */
export const whileFollowing: Statement = {
  sql: "INSERT INTO follow (head, next, epoch) SELECT head, head, epoch FROM library",
  args: [],
};

/** Keeps how far a snapshot has come. What stands in its batch is not done once the library was promoted. */
export function saveSnapshot(snapshot: Snapshot): Statement[] {
  return [
    whileFollowing,
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

export const endSnapshot: Statement = {
  sql: "UPDATE follower SET snapshot_types = NULL, snapshot_key = ''",
  args: [],
};

/** Gives a snapshot up, so that the next one is a full one from the start. */
export const abandonSnapshot: Statement = {
  sql: "UPDATE follower SET snapshot_types = NULL, snapshot_key = '', snapshot_history_id = NULL",
  args: [],
};

export function saveNoticed(types: readonly string[]): Statement {
  return { sql: "UPDATE follower SET noticed_types = ?", args: [JSON.stringify(types)] };
}
