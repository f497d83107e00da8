import { decodeRow } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { Database, Statement } from "../store/database.ts";
import { slotKey } from "./plan.ts";
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

const SELECT_TOMBSTONES = `SELECT -1, json_array(model_type, record_id, version) FROM tombstones
  WHERE (model_type, record_id) IN (SELECT value->>0, value->>1 FROM json_each(?))`;
const SELECT_MUTATIONS = `SELECT -2, json_array(mutation_id, fingerprint, first_sequence, last_sequence, answer)
  FROM mutations WHERE mutation_id IN (SELECT value FROM json_each(?))`;

/** Reads the named records, their tombstones and the mutations: one statement, one round trip. */
export async function loadSlots(
  database: Database,
  wanted: readonly { readonly resource: CompiledResource; readonly id: string }[],
  mutationIds: readonly string[] = [],
): Promise<Known> {
  const byType = new Map<string, { resource: CompiledResource; ids: Set<string> }>();
  const slots = new Map<string, Slot>();
  for (const { resource, id } of wanted) {
    const group = byType.get(resource.type) ?? { resource, ids: new Set() };
    group.ids.add(id);
    byType.set(resource.type, group);
    slots.set(slotKey(resource.type, id), { resource, id, row: null, tombstone: 0 });
  }
  const groups = [...byType.values()];
  const parts: Statement[] = groups.map(({ resource, ids }, index) => ({
    sql: resource.sql.selectByIds.replace("SELECT ", `SELECT ${index}, `),
    args: [JSON.stringify([...ids])],
  }));
  if (groups.length > 0) {
    const pairs = groups.flatMap(({ resource, ids }) => [...ids].map((id) => [resource.type, id]));
    parts.push({ sql: SELECT_TOMBSTONES, args: [JSON.stringify(pairs)] });
  }
  if (mutationIds.length > 0) {
    parts.push({ sql: SELECT_MUTATIONS, args: [JSON.stringify(mutationIds)] });
  }
  const sql = parts.map((part) => part.sql).join(" UNION ALL ");
  const [rows = []] =
    parts.length === 0
      ? []
      : await database.read([{ sql, args: parts.flatMap((part) => part.args) }]);
  const mutations = new Map<string, KnownMutation>();
  for (const [kind, json] of rows as [number, string][]) {
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
  return { slots, mutations };
}
