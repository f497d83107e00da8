import { HASH_MASK } from "../base/hash.ts";
import { redactBefore } from "../log/sync-log.ts";
import { encodeRow } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import { readPages } from "../store/pages.ts";
import type { Database, Statement } from "../store/database.ts";
import { isRefused } from "../store/failure.ts";
import { recordHash } from "./write.ts";

/**
 * A page of the leader's snapshot: all its records of one type with an id after `after`, up to
 * `upTo` (null: to the end). What stands in that range here and not there goes away.
 */
export interface SnapshotPage {
  readonly resource: CompiledResource;
  readonly after: string;
  readonly upTo: string | null;
  readonly rows: readonly Row[];
  readonly tombstones: readonly { readonly id: string; readonly version: number }[];
  /** Leaves out the reference that closes a circle of types; a second pass brings it. */
  readonly isFirstPass: boolean;
  /** How far the snapshot has come, written in the same transaction; aborts it where nobody follows. */
  readonly progress: readonly Statement[];
}

const BURY = `INSERT INTO tombstones (model_type, record_id, version, sequence, deleted_at)
  SELECT ?, value->>0, value->>1, 0, ? FROM json_each(?) WHERE true
  ON CONFLICT (model_type, record_id) DO UPDATE SET version = excluded.version`;
const REVIVE =
  "DELETE FROM tombstones WHERE model_type = ? AND record_id IN (SELECT value FROM json_each(?))";

/** Makes the range of a page equal to the leader's, all or nothing. Checksums follow by `sumType`. */
export async function applySnapshotPage(
  database: Database,
  page: SnapshotPage,
  now: number,
): Promise<void> {
  const { resource, after, upTo, rows, tombstones } = page;
  const ids = JSON.stringify(rows.map((row) => row["id"]));
  const held = resource.columns.findIndex(
    ({ key }) => page.isFirstPass && key === resource.definition.sync.breakCycle,
  );
  const encode = (row: Row) =>
    encodeRow(resource, row).map((value, at) => (at === held ? null : value));
  const encoded = JSON.stringify(rows.map(encode));
  const table = `"${resource.tableName}"`;
  const statements = (upsert: string): Statement[] => [
    {
      sql: `DELETE FROM ${table} WHERE "id" > ?1 AND (?2 IS NULL OR "id" <= ?2)
        AND "id" NOT IN (SELECT value FROM json_each(?3))`,
      args: [after, upTo, ids],
    },
    ...(rows.length === 0 ? [] : [{ sql: upsert, args: [encoded] }]),
    { sql: REVIVE, args: [resource.type, ids] },
    ...(tombstones.length === 0
      ? []
      : [
          {
            sql: BURY,
            args: [
              resource.type,
              now,
              JSON.stringify(tombstones.map(({ id, version }) => [id, version])),
            ],
          },
          // All that the log here has of them came before (LOG-14).
          redactBefore(tombstones.map(({ id }) => [resource.type, id, Number.MAX_SAFE_INTEGER])),
        ]),
    ...page.progress,
  ];
  try {
    await database.write(statements(resource.sql.upsert.all));
  } catch (error) {
    if (!isRefused(error)) throw error;
    // The pages were read at different moments, so that a unique value may stand on two records for
    // now. The older holder yields; the log that follows brings it back as it has become.
    const replace = resource.sql.insert.all.replace("INSERT INTO", "INSERT OR REPLACE INTO");
    await database.write(statements(replace));
  }
}

/** Counts the checksum of a type from its rows. Nothing else may write meanwhile. */
export async function sumType(
  { read, turn }: Database,
  resource: CompiledResource,
): Promise<{ count: number; sum: number }> {
  let count = 0;
  let sum = 0;
  for await (const rows of readPages(read, resource, { turn })) {
    count += rows.length;
    for (const row of rows) sum = (sum + recordHash(resource, row)) % (HASH_MASK + 1);
  }
  return { count, sum };
}
