import type { Codec } from "./codec.ts";
import type { StreamEvent } from "./event.ts";
import { createFrame } from "./frame.ts";
import type { Source } from "./view.ts";

/** Events after a cursor from the log, and the position up to which they cover it. */
interface LogPage {
  readonly events: readonly StreamEvent[];
  readonly end: number;
}

/** Reads events after a cursor from the log, no further than `head`. */
export type ReadLog = (after: number, head: number) => Promise<LogPage>;

/** Pages of the log for cursors behind the ring, shared by those that stand close together. */
export interface LogPages {
  /** The page in memory that covers what follows a cursor. */
  find(cursor: number): Source | null;
  /** Reads that page; whoever asks for the same cursor meanwhile waits for the same read. */
  read(cursor: number, head: number): Promise<void>;
  clear(): void;
}

/** Pages in memory. A reader that stops half-way holds none of them: it reads anew when it goes on. */
const PAGES_KEPT = 32;

export function createLogPages(readLog: ReadLog, codec: Codec): LogPages {
  let pages: (Source & { readonly after: number })[] = [];
  const reading = new Map<number, Promise<void>>();

  const load = async (after: number, head: number): Promise<void> => {
    const { events, end } = await readLog(after, head);
    const frames = events.map((event) => createFrame(event, codec));
    pages = [{ frames, after, end }, ...pages.slice(0, PAGES_KEPT - 1)];
  };
  return {
    find: (cursor) => pages.find(({ after, end }) => after <= cursor && cursor < end) ?? null,
    read: (cursor, head) => {
      const known = reading.get(cursor);
      if (known !== undefined) return known;
      const started = load(cursor, head).finally(() => reading.delete(cursor));
      reading.set(cursor, started);
      return started;
    },
    clear: () => {
      pages = [];
    },
  };
}
