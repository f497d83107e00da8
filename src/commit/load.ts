import { decodeEntries, selectRange } from "../log/sync-log.ts";
import { decodeRow } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { Database, Rows, Statement } from "../store/database.ts";
import type { Receipt, Submission } from "./change.ts";
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

const SELECT_TOMBSTONES = `SELECT model_type, record_id, version FROM tombstones
  WHERE (model_type, record_id) IN (SELECT value->>0, value->>1 FROM json_each(?))`;
const SELECT_MUTATIONS = `SELECT mutation_id, fingerprint, first_sequence, last_sequence, answer FROM mutations
  WHERE mutation_id IN (SELECT value FROM json_each(?))`;

/** Reads the named records: one statement a type, one round trip for all. */
export async function loadSlots(
  database: Database,
  wanted: readonly { readonly resource: CompiledResource; readonly id: string }[],
  mutationIds: readonly string[] = [],
): Promise<Known> {
  const byType = new Map<string, { resource: CompiledResource; ids: Set<string> }>();
  for (const { resource, id } of wanted) {
    const group = byType.get(resource.type) ?? { resource, ids: new Set() };
    group.ids.add(id);
    byType.set(resource.type, group);
  }
  const groups = [...byType.values()];
  const statements: Statement[] = groups.map(({ resource, ids }) => ({
    sql: resource.sql.selectByIds,
    args: [JSON.stringify([...ids])],
  }));
  const pairs = groups.flatMap(({ resource, ids }) => [...ids].map((id) => [resource.type, id]));
  statements.push({ sql: SELECT_TOMBSTONES, args: [JSON.stringify(pairs)] });
  if (mutationIds.length > 0) {
    statements.push({ sql: SELECT_MUTATIONS, args: [JSON.stringify(mutationIds)] });
  }
  const results = await database.read(statements);
  const slots = new Map<string, Slot>();
  for (const { resource, ids } of groups) {
    for (const id of ids)
      slots.set(slotKey(resource.type, id), { resource, id, row: null, tombstone: 0 });
  }
  for (const [type, id, version] of (results[groups.length] ?? []) as [string, string, number][]) {
    const slot = slots.get(slotKey(type, id));
    if (slot !== undefined) slots.set(slotKey(type, id), { ...slot, tombstone: version });
  }
  groups.forEach(({ resource }, index) => {
    for (const [json] of results[index] ?? []) {
      const row = decodeRow(resource, json as string);
      const id = row["id"] as string;
      slots.set(slotKey(resource.type, id), { resource, id, row, tombstone: 0 });
    }
  });
  return { slots, mutations: toMutations(results[groups.length + 1] ?? []) };
}

function toMutations(rows: Rows): Map<string, KnownMutation> {
  return new Map(
    rows.map(([id, fingerprint, first, last, answer]) => [
      id as string,
      {
        fingerprint: fingerprint as string,
        firstSequence: first as number | null,
        lastSequence: last as number | null,
        answer: answer as string | null,
      },
    ]),
  );
}

/** The answer that a mutation got the first time, from what the log and `mutations` keep (I5). */
export async function replayedReceipt(
  database: Database,
  submission: Submission,
  known: KnownMutation,
): Promise<Receipt> {
  const { firstSequence, lastSequence } = known;
  const stored = known.answer === null ? null : (JSON.parse(known.answer) as Partial<Receipt>);
  const [rows = []] =
    firstSequence === null || lastSequence === null
      ? []
      : await database.read([selectRange(firstSequence, lastSequence)]);
  const entries = decodeEntries(rows);
  const byRecord = new Map(
    entries.map((entry) => [slotKey(entry.modelType, entry.recordId), entry]),
  );
  const resources = submission.changes.map(({ resource, id }) => {
    const entry = byRecord.get(slotKey(resource.type, id));
    return entry === undefined || entry.data === null
      ? null
      : { id, version: entry.version, ...entry.data };
  });
  return {
    firstSequence,
    lastSequence,
    epoch: entries[0]?.epoch ?? stored?.epoch ?? 0,
    transactionId: entries[0]?.transactionId ?? stored?.transactionId ?? "",
    replayed: true,
    resources: stored?.resources ?? resources,
    ...(stored?.output === undefined ? {} : { output: stored.output }),
  };
}
