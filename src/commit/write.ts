import { HASH_MASK, hash48 } from "../base/hash.ts";
import { insertValues } from "../resource/insert.ts";
import type { RowsStatement, Statement } from "../store/database.ts";
import { encodeRow, toFields } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { StoredConflict } from "./late.ts";
import type { Slot } from "./plan.ts";

/** The before and after of one record in one transaction. */
export interface Transition {
  readonly before: Slot;
  readonly after: Slot;
}

/** What a record adds to the checksum of its type: its id, its version and its fields, as `text` when it is known. */
export function recordHash(resource: CompiledResource, row: Row, text?: string | null): number {
  const fields = text ?? JSON.stringify(toFields(resource, row));
  return hash48(`${row["id"] as string}:${row["version"] as number}:${fields}`);
}

const MOVE_SUM = `ON CONFLICT (resource_type) DO UPDATE SET count = count + excluded.count,
  sum = (sum + excluded.sum) & ${HASH_MASK}`;
const INSERT_SUM = "INSERT INTO checksums (resource_type, count, sum)";
const SUM_VALUES = insertValues({
  into: INSERT_SUM,
  row: `(?, ?, CAST(? AS INTEGER) & ${HASH_MASK})`,
  end: MOVE_SUM,
});

/** Moves the sums of the types that a transaction touched. */
function updateChecksums(
  deltas: ReadonlyMap<string, { count: number; sum: number }>,
): RowsStatement {
  return {
    values: SUM_VALUES,
    all: `${INSERT_SUM} SELECT value->>0, value->>1, (value->>2) & ${HASH_MASK} FROM json_each(?)
      WHERE true ${MOVE_SUM}`,
    rows: [...deltas].map(([type, { count, sum }]) => [type, count, sum]),
  };
}

/** The fields of a slot as JSON, where that has been written already. */
export type Texts = ReadonlyMap<Slot, string | null>;

function sumDeltas(transitions: readonly Transition[], texts: Texts | undefined) {
  const deltas = new Map<string, { count: number; sum: number }>();
  for (const { before, after } of transitions) {
    const { resource } = after;
    const delta = deltas.get(resource.type) ?? { count: 0, sum: 0 };
    const added = after.row === null ? 0 : recordHash(resource, after.row, texts?.get(after));
    const removed = before.row === null ? 0 : recordHash(resource, before.row);
    delta.count += (after.row === null ? 0 : 1) - (before.row === null ? 0 : 1);
    // The remainder keeps the sum exact however many records a transaction has.
    delta.sum = (delta.sum + added - removed) % (HASH_MASK + 1);
    deltas.set(resource.type, delta);
  }
  return deltas;
}

/**
 * The statements that bring the tables from `before` to `after`: one a table and kind, whatever the
 * number of records; parents are written first and deleted last.
 */
export function writeRows(
  transitions: readonly Transition[],
  context: {
    readonly ordered: readonly CompiledResource[];
    readonly sequence: number;
    readonly now: number;
    readonly texts?: Texts;
    /** True when no record may be there already: the database then refuses one that is. */
    readonly areNew?: boolean;
  },
): (Statement | RowsStatement)[] {
  const upserts = new Map<string, (string | number | null)[][]>();
  const deletes = new Map<string, string[]>();
  const buried: (string | number)[][] = [];
  const revived: string[][] = [];
  for (const { before, after } of transitions) {
    const { resource, id, row, tombstone } = after;
    if (row !== null) {
      const rows = upserts.get(resource.type) ?? [];
      rows.push(encodeRow(resource, row));
      upserts.set(resource.type, rows);
      if (before.tombstone > 0) revived.push([resource.type, id]);
    } else if (tombstone > before.tombstone) {
      if (before.row !== null) {
        const ids = deletes.get(resource.type) ?? [];
        ids.push(id);
        deletes.set(resource.type, ids);
      }
      buried.push([resource.type, id, tombstone, context.sequence, context.now]);
    }
  }
  const statements: (Statement | RowsStatement)[] = [];
  for (const { type, sql } of context.ordered) {
    const rows = upserts.get(type);
    const { all, values } = context.areNew === true ? sql.insert : sql.upsert;
    if (rows !== undefined) statements.push({ values, all, rows });
  }
  for (const { type, sql } of context.ordered.toReversed()) {
    const ids = deletes.get(type);
    if (ids !== undefined) statements.push({ sql: sql.deleteByIds, args: [JSON.stringify(ids)] });
  }
  if (buried.length > 0) statements.push({ sql: BURY, args: [JSON.stringify(buried)] });
  if (revived.length > 0) statements.push({ sql: REVIVE, args: [JSON.stringify(revived)] });
  if (transitions.length > 0)
    statements.push(updateChecksums(sumDeltas(transitions, context.texts)));
  return statements;
}

const BURY = `INSERT INTO tombstones (model_type, record_id, version, sequence, deleted_at)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?) WHERE true
  ON CONFLICT (model_type, record_id) DO UPDATE SET version = excluded.version,
  sequence = excluded.sequence, deleted_at = excluded.deleted_at`;
const REVIVE = `DELETE FROM tombstones WHERE (model_type, record_id) IN (
  SELECT value->>0, value->>1 FROM json_each(?))`;

/** Keeps the late changes that wait for a person. */
export function storeConflicts(conflicts: readonly StoredConflict[], now: number): Statement[] {
  return conflicts.map(({ id, change, currentVersion, author }) => ({
    sql: `INSERT INTO conflicts (id, resource_type, record_id, device_id, expected_version, current_version,
      operation, data, base, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    args: [
      id,
      change.resource.type,
      change.id,
      author.deviceId,
      change.expectedVersion ?? 0,
      currentVersion,
      change.operation,
      JSON.stringify(change.fields),
      change.base === null ? null : JSON.stringify(change.base),
      now,
    ],
  }));
}
