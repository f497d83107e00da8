import type { LibraryState } from "../lease/lease.ts";
import { readEntries } from "../log/read-entries.ts";
import { selectExtent, selectSurvivors } from "../log/sync-log.ts";
import type { LogEntry } from "../log/sync-log.ts";
import type { Database } from "../store/database.ts";
import { during } from "../telemetry/telemetry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { toEvents } from "./event.ts";
import type { RenderedEntry } from "./event.ts";
import type { ReadLog } from "./log-pages.ts";

/**
 * What one page of catch-up covers, unless a transaction ends later. Pages of a thousand entries
 * cost half again as much: their texts are so long that the allocator returns the memory every time.
 */
const PAGE = { entries: 200, bytes: 1_048_576 };

export interface LogReaderOptions {
  readonly database: Database;
  readonly state: LibraryState;
  readonly telemetry: Telemetry;
  readonly render: (entries: readonly LogEntry[]) => Promise<RenderedEntry[]>;
}

/**
 * Reads pages of the log as events, for streams behind the ring. A page ends where a transaction
 * ends, so that a batch is one event whichever way it comes; its bytes are bounded before any
 * payload is read.
 */
export function createLogReader(options: LogReaderOptions): ReadLog {
  const { database, state, telemetry, render } = options;

  const findEnd = async (after: number, head: number): Promise<number> => {
    const extent = selectExtent(after, PAGE);
    const [rows = []] = await database.readNear([extent]);
    return Math.min(head, (rows[0]?.[0] as number | null | undefined) ?? head);
  };
  const readPage: ReadLog = (after, head) =>
    during(telemetry.span("stream.catch_up", { after }), async () => {
      const end = await findEnd(after, head);
      // A stream whose place was trimmed ends: its next request is told to start afresh.
      const entries = await readEntries(database.readNear, selectSurvivors(after, end), {
        after,
        log: state,
      });
      const rendered = await render(entries);
      return { events: toEvents(rendered, { libraryId: state.id, after }), end };
    });
  return (after, head) => database.turn(() => readPage(after, head));
}
