import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Library } from "./library.ts";

/** The libraries that are open: a bounded number, closed again when nobody uses them. */
export interface Pool {
  /** The open library of that id, or the one that is being opened; marks it as used. */
  get(id: string): Promise<Library> | undefined;
  /** Resolves when one more may be opened: what nobody uses is closed first, and `id` if it is closing. */
  makeRoom(id: string): Promise<void>;
  add(id: string, library: Promise<Library>): Promise<Library>;
  readonly ids: readonly string[];
  /** Those that are open, without those that are being opened; looking does not count as use. */
  readonly libraries: readonly Library[];
  close(id: string): Promise<void>;
  /** True from `closeAll` on: nothing may be added any more. */
  readonly isOver: boolean;
  /** Closes all of them for good, and returns what they were. */
  closeAll(): Promise<readonly Library[]>;
}

interface Opened {
  readonly library: Promise<Library>;
  settled: Library | null;
  usedAt: number;
}

const TIDY_EVERY_MS = 5_000;

export interface PoolOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** Called when one was closed that may be opened again. */
  readonly onClosed: (library: Library) => Promise<void>;
}

/** Closes what nobody uses; past the bound, what was used longest ago. */
function createTidier(
  { clock, limits, telemetry }: PoolOptions,
  { open, close }: { readonly open: ReadonlyMap<string, Opened>; readonly close: Pool["close"] },
) {
  let waitingCount = 0;
  const tidy = async (): Promise<void> => {
    const now = clock.monotonic();
    const surplus = open.size + waitingCount - limits.openLibraries;
    const unused = [...open]
      .filter(([, { settled }]) => settled?.hub.size === 0 && settled.committer.length === 0)
      .toSorted(([, a], [, b]) => a.usedAt - b.usedAt)
      .filter(([, { usedAt }], index) => index < surplus || now - usedAt >= limits.libraryIdleMs);
    await Promise.all(unused.map(([id]) => close(id)));
  };
  let tidying: Promise<void> | null = null;
  const start = (): Promise<void> => {
    tidying ??= tidy()
      .catch((error: unknown) =>
        telemetry.log("error", "An idle library could not be closed.", { error }),
      )
      .finally(() => (tidying = null));
    return tidying;
  };
  /** Waits for room, unless all that is open is in use. */
  const makeRoom = async (): Promise<void> => {
    if (open.size < limits.openLibraries) return;
    waitingCount += 1;
    // Whoever began to tidy before did not know of this one.
    await tidying;
    await start().finally(() => (waitingCount -= 1));
  };
  return { makeRoom, stop: clock.every(TIDY_EVERY_MS, () => void start()) };
}

export function createPool(options: PoolOptions): Pool {
  const { clock, telemetry } = options;
  const open = new Map<string, Opened>();
  const closing = new Map<string, Promise<void>>();
  let isOver = false;
  const shut = async (id: string): Promise<Library | undefined> => {
    const opened = open.get(id);
    open.delete(id);
    telemetry.gauge("open_libraries", open.size);
    const library = await opened?.library;
    await library?.close();
    return library;
  };
  const close = (id: string): Promise<void> => {
    const closed = shut(id)
      .then((library) => (library === undefined ? undefined : options.onClosed(library)))
      .finally(() => closing.delete(id));
    closing.set(id, closed);
    return closed;
  };
  const tidier = createTidier(options, { open, close });
  return {
    get: (id) => {
      const opened = open.get(id);
      if (opened !== undefined) opened.usedAt = clock.monotonic();
      return opened?.library;
    },
    makeRoom: async (id) => {
      await closing.get(id)?.catch(() => {});
      await tidier.makeRoom();
    },
    add: (id, library) => {
      const opened: Opened = { library, settled: null, usedAt: clock.monotonic() };
      open.set(id, opened);
      library.then(
        (settled) => (opened.settled = settled),
        () => open.delete(id),
      );
      telemetry.gauge("open_libraries", open.size);
      return library;
    },
    get ids() {
      return [...open.keys()];
    },
    get libraries() {
      return [...open.values()].flatMap(({ settled }) => settled ?? []);
    },
    close,
    get isOver() {
      return isOver;
    },
    closeAll: async () => {
      isOver = true;
      tidier.stop();
      await Promise.allSettled(closing.values());
      const closed = await Promise.all([...open.keys()].map(shut));
      return closed.flatMap((library) => library ?? []);
    },
  };
}
