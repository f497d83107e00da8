import type { InValue, Transaction } from "@libsql/client";
import { createId } from "../base/id.ts";
import { advanceHead } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import { appendEntries, redactDeleted } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { decodeRow, toFields } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { Registry } from "../resource/registry.ts";
import { toStatement } from "../store/database.ts";
import type { Database, Rows, RowsStatement, Statement } from "../store/database.ts";
import type { Span, Telemetry } from "../telemetry/telemetry.ts";
import type { Author } from "./change.ts";
import { sortByType } from "./group.ts";
import type { CommittedEntry } from "./group.ts";
import { loadSlots } from "./load.ts";
import { slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";
import { writeRows } from "./write.ts";
import type { Transition } from "./write.ts";

/** Raw SQL inside the manager's transaction. */
export interface RawTx {
  execute(sql: string, args?: InValue[]): Promise<Rows>;
  /** Says that a record was written or deleted; it gets its version, its entry and its event. */
  log(type: string, id: string): void;
}

export interface RawOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly state: LibraryState;
  readonly now: () => number;
  readonly telemetry: Telemetry;
  readonly onCommitted: (committed: readonly CommittedEntry[], span?: Span) => void;
}

/** Triggers of this connection only: they note which records raw SQL touches. */
function watchStatements(resources: readonly CompiledResource[]): string[] {
  const triggers = resources.flatMap(({ type, tableName }) =>
    (["INSERT", "UPDATE", "DELETE"] as const).map(
      (
        event,
      ) => `CREATE TEMP TRIGGER "touched_${type}_${event}" AFTER ${event} ON main."${tableName}" BEGIN
        INSERT INTO touched VALUES ('${type}', ${event === "DELETE" ? "OLD" : "NEW"}."id"); END`,
    ),
  );
  return ["CREATE TEMP TABLE touched (type TEXT, id TEXT)", ...triggers];
}

function unwatchStatements(resources: readonly CompiledResource[]): string[] {
  const triggers = resources.flatMap(({ type }) =>
    ["INSERT", "UPDATE", "DELETE"].map((event) => `DROP TRIGGER temp."touched_${type}_${event}"`),
  );
  return [...triggers, "DROP TABLE temp.touched"];
}

interface Logged {
  readonly resource: CompiledResource;
  readonly id: string;
}

/** Refuses a transaction that wrote a record without saying so: other devices would never hear of it. */
function assertLogged(touched: Rows, logged: ReadonlyMap<string, Logged>): void {
  const missed = touched.filter(([type, id]) => !logged.has(slotKey(type as string, id as string)));
  if (missed.length === 0) return;
  const names = missed.slice(0, 5).map(([type, id]) => `${type as string} ${id as string}`);
  throw new Error(
    `withTx wrote records without tx.log: ${names.join(", ")}. Nothing was committed.`,
  );
}

/** What nobody waited for comes too late: it would be written and not logged. */
function assertOpen(isOver: boolean): void {
  if (isOver) throw new Error("The transaction is over: await what withTx is to do.");
}

async function readAfter(tx: Transaction, { resource, id }: Logged): Promise<Row | null> {
  const found = await tx.execute({ sql: resource.sql.selectByIds, args: [JSON.stringify([id])] });
  const json = found.rows[0]?.[0];
  return json === undefined ? null : decodeRow(resource, json as string);
}

/** What the transaction did to one record, with the version it gets; null when it did nothing. */
function toTransition(before: Slot, found: Row | null, now: number): Transition | null {
  const { resource, id } = before;
  const version = (before.row === null ? before.tombstone : (before.row["version"] as number)) + 1;
  if (found === null) {
    return before.row === null
      ? null
      : { before, after: { resource, id, row: null, tombstone: version } };
  }
  return {
    before,
    after: { resource, id, row: { ...found, version, updated_at: now }, tombstone: 0 },
  };
}

/** Runs raw SQL and commits it with its entries, all or nothing. Must run alone with the database. */
export async function runRaw<Result>(
  options: RawOptions,
  author: Author,
  run: (tx: RawTx) => Promise<Result>,
): Promise<Result> {
  const { database, registry, state } = options;
  const { value: result, committed } = await database.transaction(async (tx) => {
    const logged = new Map<string, Logged>();
    let isOver = false;
    const all = async (
      statements: readonly (string | Statement | RowsStatement)[],
    ): Promise<void> => {
      for (const statement of statements) {
        await tx.execute(typeof statement === "string" ? statement : toStatement(statement));
      }
    };
    await all(watchStatements(registry.resources));
    const value = await run({
      execute: async (sql, args = []) => {
        assertOpen(isOver);
        return (await tx.execute({ sql, args })).rows.map((row) => Array.from(row));
      },
      log: (type, id) => {
        assertOpen(isOver);
        const resource = registry.resource(type);
        logged.set(slotKey(type, id), { resource, id });
      },
    });
    isOver = true;
    const touched = await tx.execute("SELECT DISTINCT type, id FROM touched");
    assertLogged(
      touched.rows.map((row) => Array.from(row)),
      logged,
    );
    await all(unwatchStatements(registry.resources));
    // The reading connection still sees what stood before this transaction.
    const { slots } = await loadSlots(database.read, [...logged.values()]);
    const now = options.now();
    const transitions: Transition[] = [];
    for (const [key, one] of logged) {
      const before = slots.get(key);
      if (before === undefined) continue;
      const transition = toTransition(before, await readAfter(tx, one), now);
      if (transition !== null) transitions.push(transition);
    }
    const committed = toCommitted(transitions, options, { author, now });
    if (committed.length === 0) return { value, committed };
    const entries = committed.map(({ entry }) => entry);
    const sequence = state.head + entries.length;
    await all([
      advanceHead(state, entries.length),
      ...writeRows(transitions, { ordered: registry.resources, sequence, now }),
      appendEntries(entries),
      ...redactDeleted(entries),
    ]);
    return { value, committed };
  });
  state.head += committed.length;
  if (committed.length > 0) options.onCommitted(committed, author.span);
  return result;
}

function toCommitted(
  transitions: readonly Transition[],
  { registry, state }: RawOptions,
  { author, now }: { readonly author: Author; readonly now: number },
): CommittedEntry[] {
  const transactionId = createId();
  return sortByType(transitions, ({ after }) => after, registry.resources).map(
    ({ before, after: slot }, index) => {
      const written = before.row === null ? "insert" : "update";
      const entry: LogEntry = {
        sequence: state.head + index + 1,
        epoch: state.epoch,
        transactionId,
        deviceId: author.deviceId,
        mutationId: null,
        timestampMs: now,
        domain: slot.resource.domain,
        modelType: slot.resource.type,
        recordId: slot.id,
        changeType: slot.row === null ? "delete" : written,
        version: slot.row === null ? slot.tombstone : (slot.row["version"] as number),
        operation: "Update",
        data: slot.row === null ? null : toFields(slot.resource, slot.row),
      };
      return { entry, slot };
    },
  );
}
