import { BULK_MODEL_TYPE, decodeEntries, selectRange } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { SyncError } from "../protocol/errors.ts";
import type { BulkNotice } from "../resource/define.ts";
import { otherHistory, takeSnapshot } from "./backfill.ts";
import type { BackfillContext } from "./backfill.ts";
import { readProgress, saveNoticed } from "./progress.ts";
import type { LogPage } from "./upstream.ts";

/**
 * A new epoch may be led by another database, such as a promoted follower that had less. Then the
 * entry at our head is not its entry, and what we have beyond the fork is nobody's.
 *
 * @throws history_changed
 */
async function assertSameLine(context: BackfillContext, page: LogPage): Promise<void> {
  const { replica, upstream } = context;
  const { state, database } = replica;
  if (page.historyId !== state.historyId) {
    throw otherHistory(context, "The leader has another history.");
  }
  if (page.epoch === state.epoch || state.head < state.oldestSequence) return;
  const [rows = []] = await database.read([selectRange(state.head, state.head)]);
  const [ours] = decodeEntries(rows);
  const [theirs] = (await upstream.log(state.head - 1, 1, state.historyId)).entries;
  if (ours?.transactionId === theirs?.transactionId && ours?.epoch === theirs?.epoch) return;
  const detail = `The leader's entry ${state.head} is not the one this device has: it left the common line.`;
  throw otherHistory(context, detail);
}

/** Remembers that a bulk was only noticed: the rows of its type are no longer compared. */
async function notice(context: BackfillContext, type: string): Promise<void> {
  const { database } = context.replica;
  const noticed = (await readProgress(database))?.noticedTypes ?? [];
  if (!noticed.includes(type)) await database.write([saveNoticed([...noticed, type])]);
}

/**
 * Does what a bulk notice asks for, before the head moves past it. Records of domain `metadata` are
 * fetched; of domain `index` the plugin is told, and fetches them if it wants them.
 */
async function onBulk(context: BackfillContext, entry: LogEntry, fetched: Map<string, number>) {
  const type = String(entry.data?.["model"]);
  const resource = context.registry.find(type);
  if (resource === undefined) return;
  const fetch = async (): Promise<void> => {
    if ((fetched.get(type) ?? 0) >= entry.sequence) return;
    fetched.set(type, await takeSnapshot(context, [type], entry.sequence));
  };
  if (resource.domain !== "index") await fetch();
  const told: BulkNotice = {
    token: entry.recordId,
    mode: entry.data?.["mode"] as BulkNotice["mode"],
    operation: String(entry.data?.["operation"]),
    affectedCount: Number(entry.data?.["affected_count"]),
    hints: (entry.data?.["hints"] ?? {}) as BulkNotice["hints"],
  };
  await resource.definition.onBulk?.(told, { ...context.replica.reader, fetch });
  if (!fetched.has(type) || (fetched.get(type) ?? 0) < entry.sequence) await notice(context, type);
}

/**
 * Pulls one page and applies it. Resolves to what the leader has beyond it.
 *
 * @throws history_changed, cursor_expired, unknown_resource_type, invalid_record, forbidden
 */
export async function pullPage(
  context: BackfillContext,
  fetched: Map<string, number>,
  limit: number,
): Promise<LogPage> {
  const { replica, upstream } = context;
  const { state, manager } = replica;
  const page = await upstream.log(state.head, limit, state.historyId);
  await assertSameLine(context, page);
  const { entries, epoch } = page;
  if (page.nextAfter - state.head !== entries.length) {
    const detail =
      "The leader holds entries back: a follower's token must cover all types of the library.";
    throw new SyncError("forbidden", { reason: "type_not_granted" }, { detail });
  }
  let start = 0;
  for (let at = 0; at <= entries.length; at += 1) {
    const entry = entries[at];
    if (entry !== undefined && entry.modelType !== BULK_MODEL_TYPE) continue;
    await manager.applyRemote({ entries: entries.slice(start, at), epoch });
    start = at;
    if (entry !== undefined) await onBulk(context, entry, fetched);
  }
  return page;
}
