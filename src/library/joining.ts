/**
 * The steps by which two services come to share a library. Each leaves what it did on record before
 * the next begins, so that a job that was killed goes on where it was:
 *
 *   register ──▶ for each library that ends: scan ──▶ tail ──▶ hand over ──▶ complete
 *                                              ▲        │ ▲        │
 *                                              └─ bulk ─┘ └─ more ─┘
 *
 * `scan` reads every record, `tail` what was committed since, and `hand over` ends the library only
 * if nothing was committed meanwhile; else `tail` goes on. Whoever does not lead follows from then on.
 *
 * @module
 */
import { PAGE_BYTES, sizeOf } from "../base/size.ts";
import type { SnapshotLine } from "../follower/upstream.ts";
import { BULK_MODEL_TYPE } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { HandOver } from "./hand-over.ts";
import type { MergeReceipt } from "./merge.ts";
import type { Side } from "./side.ts";

type Where = "local" | "remote";

/** One library that ends, and the one that takes all its records. */
export interface Copy {
  readonly from: Where;
  readonly source: string;
  readonly to: Where;
  readonly target: string;
}

/** How far a copy has come. */
export interface CopyState {
  /** "type:id": the last record that was taken care of; null before the first. */
  readonly afterKey: string | null;
  /** Where the source's log stood when the scan began, then how far it was read; null before. */
  readonly sequence: number | null;
  readonly historyId: string;
  readonly isScanned: boolean;
  readonly mergedCount: number;
  readonly refused: readonly string[];
}

export const newCopy: CopyState = {
  afterKey: null,
  sequence: null,
  historyId: "",
  isScanned: false,
  mergedCount: 0,
  refused: [],
};

export interface CopyContext {
  readonly sides: Readonly<Record<Where, Side>>;
  readonly copy: Copy;
  /** Who leads the target, for the service that has the source; null when it is the same. */
  readonly leader: HandOver["leader"];
  /** The source may have ended already. */
  readonly isEnding: boolean;
  readonly save: (state: CopyState) => Promise<void>;
  /** Puts on record that the source may end now, or that it did not. @throws when that is called off */
  readonly end: (state: CopyState, mayEnd: boolean) => Promise<void>;
}

const CHUNK = 200;
const REFUSED_MAX = 20;

function add(state: CopyState, { mergedCount, refused }: MergeReceipt): CopyState {
  return {
    ...state,
    mergedCount: state.mergedCount + mergedCount,
    refused: [...state.refused, ...refused].slice(0, REFUSED_MAX),
  };
}

/** Entries as the records they left; null when a bulk is among them, which names no records. */
function toLines(entries: readonly LogEntry[]): SnapshotLine[] | null {
  const lines: SnapshotLine[] = [];
  for (const entry of entries) {
    const { modelType: resource_type, recordId: id, version, data, deviceId, timestampMs } = entry;
    if (resource_type === BULK_MODEL_TYPE) return null;
    if (entry.changeType === "delete") lines.push({ resource_type, deleted: id, version });
    else if (data !== null) {
      const origin = { device_id: deviceId, created_at: timestampMs, updated_at: timestampMs };
      lines.push({ resource_type, resource: { ...data, id, version }, origin });
    }
  }
  return lines;
}

async function scan({ sides, copy, save }: CopyContext, start: CopyState): Promise<CopyState> {
  let state = start;
  let pending: SnapshotLine[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const last = pending.findLast((line) => line.resource !== undefined);
    state = add(state, await sides[copy.to].merge(copy.target, pending));
    if (last !== undefined) {
      const afterKey = `${last.resource_type ?? ""}:${last.resource?.id ?? ""}`;
      state = { ...state, afterKey };
    }
    pending = [];
    bytes = 0;
    await save(state);
  };
  for await (const line of sides[copy.from].snapshot(copy.source, state.afterKey)) {
    const { snapshot } = line;
    if (snapshot !== undefined && state.historyId !== snapshot.history_id) {
      const { sequence, history_id: historyId } = snapshot;
      if (state.historyId !== "") return { ...newCopy, mergedCount: state.mergedCount };
      state = { ...state, sequence, historyId };
    }
    if (line.resource_type !== undefined) pending.push(line);
    bytes += sizeOf(line.resource);
    if (pending.length >= CHUNK || bytes >= PAGE_BYTES || line.end !== undefined) await flush();
    if (line.end !== undefined) return { ...state, isScanned: true };
  }
  throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail: "A snapshot broke off." });
}

/** Merges what was committed since. Resolves to a state that is not scanned when that cannot be told. */
async function tail(context: CopyContext, start: CopyState): Promise<CopyState> {
  const { sides, copy, save } = context;
  const again: CopyState = { ...newCopy, mergedCount: start.mergedCount };
  let state = start;
  for (;;) {
    const page = await sides[copy.from]
      .log(copy.source, state.sequence ?? 0)
      .catch((error: unknown) => {
        if (isSyncError(error, "cursor_expired") || isSyncError(error, "history_changed"))
          return null;
        throw error;
      });
    if (page === null || page.historyId !== state.historyId) return again;
    const lines = toLines(page.entries);
    if (lines === null) return again;
    for (let at = 0; at < lines.length; at += CHUNK) {
      state = add(state, await sides[copy.to].merge(copy.target, lines.slice(at, at + CHUNK)));
    }
    state = { ...state, sequence: page.nextAfter };
    if (page.entries.length > 0) await save(state);
    if (!page.hasMore) return state;
  }
}

/**
 * Takes all records of the source into the target, until the source has ended.
 *
 * @throws invalid_record when the target refuses some: then nothing is handed over
 */
export async function runCopy(context: CopyContext, start: CopyState): Promise<CopyState> {
  const { sides, copy, leader, save, end } = context;
  let state = start;
  const handOver = (): Promise<boolean> => {
    const order = { into: copy.target, head: state.sequence ?? 0, historyId: state.historyId };
    return sides[copy.from].handOver(copy.source, { ...order, leader });
  };
  // Asked for before a break: what has ended is not read again, for it is the target by now.
  const wasAsked = context.isEnding && state.isScanned && state.refused.length === 0;
  if (wasAsked && (await handOver())) return state;
  for (;;) {
    if (!state.isScanned) {
      state = await scan(context, state);
      await save(state);
    }
    if (state.isScanned) state = await tail(context, state);
    if (!state.isScanned) continue;
    const [first] = state.refused;
    if (first !== undefined) {
      const detail = `${state.refused.length} records were refused, so both libraries stay as they are: ${first}`;
      throw new SyncError("invalid_record", { issues: [{ path: "", message: first }] }, { detail });
    }
    // On record before it is asked for: from here on a cancel may be too late.
    await end(state, true);
    if (await handOver()) return state;
    await end(state, false);
  }
}
