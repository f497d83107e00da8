import { SyncError } from "../protocol/errors.ts";
import { decodeRow } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { Read, Statement } from "../store/database.ts";
import { absent, slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";

/** What is on record of a mutation id. */
export interface KnownMutation {
  readonly fingerprint: string;
  readonly firstSequence: number | null;
  readonly lastSequence: number | null;
  readonly answer: string | null;
}

/** The committed state that a group starts from. */
export interface Known {
  readonly slots: Map<string, Slot>;
  readonly mutations: Map<string, KnownMutation>;
}

const TOMBSTONE = "SELECT -1, json_array(model_type, record_id, version)";
const BURIED_OF_MANY =
  "FROM json_each(?) AS wanted CROSS JOIN tombstones ON record_id = wanted.value";
const MUTATIONS = `SELECT -2, json_array(mutation_id, fingerprint, first_sequence, last_sequence, answer)
  FROM mutations`;

/** One id is looked up as it is: a table of one row costs more than the lookup. */
function selectRecords(
  { sql, type }: CompiledResource,
  ids: ReadonlySet<string>,
  place: number,
): Statement[] {
  const [only = ""] = ids;
  const [rows, buried, key] =
    ids.size === 1
      ? [sql.selectById, "FROM tombstones WHERE record_id = ?", only]
      : [sql.selectByIds, BURIED_OF_MANY, JSON.stringify([...ids])];
  return [
    { sql: rows.replace("SELECT ", `SELECT ${place}, `), args: [key] },
    { sql: `${TOMBSTONE} ${buried} AND model_type = ?`, args: [key, type] },
  ];
}

function selectMutations(ids: readonly string[]): Statement[] {
  if (ids.length === 0) return [];
  const [only = ""] = ids;
  return ids.length === 1
    ? [{ sql: `${MUTATIONS} WHERE mutation_id = ?`, args: [only] }]
    : [
        {
          sql: `${MUTATIONS} WHERE mutation_id IN (SELECT value FROM json_each(?))`,
          args: [JSON.stringify(ids)],
        },
      ];
}

type Wanted = readonly { readonly resource: CompiledResource; readonly id: string }[];

/** Adds the named records, their tombstones and the mutations: one statement, one round trip. Answers its bytes. */
async function load(
  read: Read,
  { wanted, mutationIds }: { readonly wanted: Wanted; readonly mutationIds: readonly string[] },
  { slots, mutations }: Known,
): Promise<number> {
  const byType = new Map<string, { resource: CompiledResource; ids: Set<string> }>();
  for (const { resource, id } of wanted) {
    const group = byType.get(resource.type) ?? { resource, ids: new Set() };
    group.ids.add(id);
    byType.set(resource.type, group);
    slots.set(slotKey(resource.type, id), absent(resource, id));
  }
  const groups = [...byType.values()];
  const parts = [
    ...groups.flatMap(({ resource, ids }, index) => selectRecords(resource, ids, index)),
    ...selectMutations(mutationIds),
  ];
  const sql = parts.map((part) => part.sql).join(" UNION ALL ");
  const [rows = []] =
    parts.length === 0 ? [] : await read([{ sql, args: parts.flatMap((part) => part.args) }]);
  let bytes = 0;
  for (const [kind, json] of rows as [number, string][]) {
    bytes += json.length;
    const resource = groups[kind]?.resource;
    if (resource !== undefined) {
      const row = decodeRow(resource, json);
      const id = row["id"] as string;
      slots.set(slotKey(resource.type, id), { resource, id, row, tombstone: 0 });
    } else if (kind === -1) {
      const [type, id, version] = JSON.parse(json) as [string, string, number];
      const slot = slots.get(slotKey(type, id));
      if (slot?.row === null) slots.set(slotKey(type, id), { ...slot, tombstone: version });
    } else {
      const [id, fingerprint, firstSequence, lastSequence, answer] = JSON.parse(json) as [
        string,
        string,
        number | null,
        number | null,
        string | null,
      ];
      mutations.set(id, { fingerprint, firstSequence, lastSequence, answer });
    }
  }
  return bytes;
}

/** Records that are read at once where their bytes are counted. */
const COUNTED = 256;

/**
 * Reads the named records, their tombstones and the mutations.
 *
 * @throws body_too_large where the records have more than `limitBytes` together
 */
export async function loadSlots(
  read: Read,
  wanted: Wanted,
  { mutationIds = [], limitBytes = Infinity }: LoadOptions = {},
): Promise<Known> {
  const known: Known = { slots: new Map(), mutations: new Map() };
  const step = limitBytes === Infinity ? wanted.length : COUNTED;
  let bytes = await load(read, { wanted: wanted.slice(0, step), mutationIds }, known);
  for (let at = step; at < wanted.length && bytes <= limitBytes; at += step)
    bytes += await load(read, { wanted: wanted.slice(at, at + step), mutationIds: [] }, known);
  if (bytes <= limitBytes) return known;
  const detail = `The records that these changes concern have more than ${limitBytes} bytes together; send fewer at once.`;
  throw new SyncError("body_too_large", { limitBytes }, { detail });
}

interface LoadOptions {
  readonly mutationIds?: readonly string[];
  readonly limitBytes?: number;
}
