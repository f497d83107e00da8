import { insertValues } from "../resource/insert.ts";
import type { Rows, RowsStatement, Statement } from "../store/database.ts";

export type ChangeType = "insert" | "update" | "delete" | "bulk_insert";

/** The `model_type` of the one entry that a bulk operation leaves. */
export const BULK_MODEL_TYPE = "bulk_operation";

/** One change in the sync log. `data` is null for deletes and after redaction. */
export interface LogEntry {
  readonly sequence: number;
  readonly epoch: number;
  readonly transactionId: string;
  readonly deviceId: string;
  readonly mutationId: string | null;
  readonly timestampMs: number;
  readonly domain: string;
  readonly modelType: string;
  readonly recordId: string;
  readonly changeType: ChangeType;
  readonly version: number;
  /** The kind of batch; null for a single commit. */
  readonly operation: string | null;
  readonly data: Readonly<Record<string, unknown>> | null;
}

const INSERT = `INSERT INTO sync_log (sequence, epoch, timestamp_ms, transaction_id, device_id, mutation_id, domain,
  model_type, record_id, change_type, version, operation, data)`;
const INSERT_VALUES = insertValues({
  into: INSERT,
  row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
});
const INSERT_ALL = `${INSERT} SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6,
  value->>7, value->>8, value->>9, value->>10, value->>11, value->>12 FROM json_each(?)`;

/** Appends entries. `json` has the text of each one's data where it is known. */
export function appendEntries(
  entries: readonly LogEntry[],
  json: readonly (string | null)[] = [],
): RowsStatement {
  const rows = entries.map((entry, index) => [
    entry.sequence,
    entry.epoch,
    entry.timestampMs,
    entry.transactionId,
    entry.deviceId,
    entry.mutationId,
    entry.domain,
    entry.modelType,
    entry.recordId,
    entry.changeType,
    entry.version,
    entry.operation,
    entry.data === null ? null : (json[index] ?? JSON.stringify(entry.data)),
  ]);
  return { values: INSERT_VALUES, all: INSERT_ALL, rows };
}

/** In the order of `COLUMNS`; `data` comes last, as text that is JSON already. */
const NAMES =
  "sequence, epoch, transaction_id, device_id, mutation_id, timestamp_ms, domain, model_type, record_id, change_type, version, operation";

/**
 * The entries of a query, column by column: one row of thirteen arrays, which costs a quarter of an
 * array for each entry.
 */
function selectEntries(from: string): string {
  const columns = NAMES.replaceAll(/\w+/g, "json_group_array($&)");
  return `SELECT ${columns}, '[' || coalesce(group_concat(coalesce(data, 'null')), '') || ']'
    FROM (SELECT ${NAMES}, data FROM sync_log AS entry WHERE ${from})`;
}

/** The entries of one range, both ends included. */
export function selectRange(first: number, last: number): Statement {
  return {
    sql: selectEntries("sequence BETWEEN ? AND ? ORDER BY sequence"),
    args: [first, last],
  };
}

/**
 * Where a page after a cursor ends: with the transaction of the entry that fills it, by count or by
 * bytes of payload. Null when nothing follows that transaction. Only a page with too many bytes pays
 * for the window that finds the entry.
 */
export function selectExtent(
  after: number,
  page: { readonly entries: number; readonly bytes: number },
): Statement {
  return {
    sql: `WITH page AS (SELECT sequence, data FROM sync_log WHERE sequence > ?1 ORDER BY sequence LIMIT ?2),
      whole AS (SELECT max(sequence) AS sequence, coalesce(sum(octet_length(data)), 0) AS bytes FROM page),
      filled AS (SELECT CASE WHEN bytes <= ?3 THEN sequence ELSE (SELECT min(sequence) FROM (SELECT sequence,
        sum(octet_length(data)) OVER (ORDER BY sequence ROWS UNBOUNDED PRECEDING) AS bytes FROM page)
        WHERE bytes > ?3) END AS sequence FROM whole),
      last AS (SELECT entry.sequence, entry.transaction_id FROM sync_log AS entry JOIN filled USING (sequence))
      SELECT (SELECT entry.sequence - 1 FROM sync_log AS entry, last WHERE entry.sequence > last.sequence
        AND entry.transaction_id <> last.transaction_id ORDER BY entry.sequence LIMIT 1)`,
    args: [after, page.entries, page.bytes],
  };
}

/** The entries of a range that no later entry of the same record supersedes. */
export function selectSurvivors(after: number, last: number): Statement {
  return {
    sql: selectEntries(`sequence > ? AND sequence <= ? AND NOT EXISTS (SELECT 1 FROM sync_log AS newer
      WHERE newer.model_type = entry.model_type AND newer.record_id = entry.record_id
      AND newer.sequence > entry.sequence) ORDER BY sequence`),
    args: [after, last],
  };
}

/**
 * Empties the payloads of deleted records (LOG-14), each before its own delete: a record that was
 * inserted again in the same transaction keeps what it has now.
 */
export function redactBefore(
  records: readonly (readonly [modelType: string, recordId: string, sequence: number])[],
): Statement {
  return {
    sql: `UPDATE sync_log SET data = NULL WHERE data IS NOT NULL AND sequence IN (
      SELECT entry.sequence FROM json_each(?) AS gone JOIN sync_log AS entry
      ON entry.model_type = gone.value->>0 AND entry.record_id = gone.value->>1
      AND entry.sequence < gone.value->>2)`,
    args: [JSON.stringify(records)],
  };
}

/** The same for what these entries delete; stands behind them in their batch. */
export function redactDeleted(entries: readonly LogEntry[]): Statement[] {
  const deleted = entries.filter((entry) => entry.changeType === "delete");
  if (deleted.length === 0) return [];
  return [
    redactBefore(
      deleted.map((entry) => [entry.modelType, entry.recordId, entry.sequence] as const),
    ),
  ];
}

/** What `selectEntries` answers, parsed. */
type Columns = [
  sequences: number[],
  epochs: number[],
  transactionIds: string[],
  deviceIds: string[],
  mutationIds: (string | null)[],
  timestampsMs: number[],
  domains: string[],
  modelTypes: string[],
  recordIds: string[],
  changeTypes: ChangeType[],
  versions: number[],
  operations: (string | null)[],
  data: (Record<string, unknown> | null)[],
];

/** Reads what `selectAfter`, `selectRange` and `selectSurvivors` answer. */
export function decodeEntries([row]: Rows): LogEntry[] {
  if (row === undefined) return [];
  const [
    sequences,
    epochs,
    transactionIds,
    deviceIds,
    mutationIds,
    timestampsMs,
    domains,
    modelTypes,
    recordIds,
    changeTypes,
    versions,
    operations,
    data,
  ] = row.map((column) => JSON.parse(column as string) as unknown) as Columns;
  return sequences.map(
    (sequence, at) =>
      ({
        sequence,
        epoch: epochs[at],
        transactionId: transactionIds[at],
        deviceId: deviceIds[at],
        mutationId: mutationIds[at],
        timestampMs: timestampsMs[at],
        domain: domains[at],
        modelType: modelTypes[at],
        recordId: recordIds[at],
        changeType: changeTypes[at],
        version: versions[at],
        operation: operations[at],
        data: data[at],
      }) as LogEntry,
  );
}
