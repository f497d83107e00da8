import type { LogPage, SnapshotLine } from "../follower/upstream.ts";
import { decodeEntries, selectExtent, selectRange } from "../log/sync-log.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "../resource/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Catalog } from "./catalog.ts";
import type { Following } from "./following.ts";
import { handOver } from "./hand-over.ts";
import type { HandOver } from "./hand-over.ts";
import { assertLeading } from "./leadership.ts";
import { mergeLines } from "./merge.ts";
import type { MergeReceipt } from "./merge.ts";
import { readSnapshot } from "./snapshot.ts";

/** One of the two services that join libraries: this one, or the other over HTTP. */
export interface Side {
  /** All records, as they are stored, behind `afterKey` ("type:id"). */
  snapshot(libraryId: string, afterKey: string | null): AsyncIterable<SnapshotLine>;
  /** Entries after a cursor. @throws cursor_expired */
  log(libraryId: string, after: number): Promise<LogPage>;
  merge(libraryId: string, lines: readonly SnapshotLine[]): Promise<MergeReceipt>;
  /** Makes a library, when it is not there yet. */
  create(libraryId: string, name: string): Promise<void>;
  handOver(libraryId: string, order: HandOver): Promise<boolean>;
}

export interface SideOptions {
  readonly catalog: Catalog;
  readonly following: Following;
  readonly registry: Registry;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

/** This service. */
export function createLocalSide(options: SideOptions): Side {
  const { catalog, registry, limits } = options;
  const page = { entries: limits.pageMax, bytes: limits.pageBytes };
  return {
    snapshot: async function* (libraryId, afterKey) {
      const resources = registry.resources.filter(({ domain }) => domain !== "state");
      const selection = { resources, afterKey: afterKey ?? undefined, isStored: true };
      for await (const line of readSnapshot(catalog, libraryId, selection))
        yield line as SnapshotLine;
    },
    log: (libraryId, after) =>
      catalog.use(libraryId, async ({ database, state, leadership }) => {
        await leadership.refresh();
        const { head, epoch, historyId, oldestSequence } = state;
        if (after < oldestSequence - 1) {
          throw new SyncError("cursor_expired", { oldestSequence, head });
        }
        const [extent = []] = await database.read([selectExtent(after, page)]);
        const end = (extent[0]?.[0] as number | null | undefined) ?? Number.MAX_SAFE_INTEGER;
        const [rows = []] = await database.read([selectRange(after + 1, end)]);
        const entries = decodeEntries(rows);
        const nextAfter = entries.at(-1)?.sequence ?? after;
        return { entries, hasMore: nextAfter < head, nextAfter, head, epoch, historyId };
      }),
    merge: (libraryId, lines) =>
      catalog.use(libraryId, async (library) => {
        await assertLeading(library);
        return mergeLines(library, options, lines);
      }),
    create: async (id, name) => {
      if (catalog.resolve(id) !== id) return;
      await catalog.create({ id, name }).catch((error: unknown) => {
        if (!(error instanceof SyncError) || error.code !== "already_exists") throw error;
      });
    },
    handOver: (libraryId, order) => handOver(options, libraryId, order),
  };
}
