import type { Clock } from "../base/clock.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Library } from "./library.ts";

/** The libraries that are open: a bounded number. What nobody holds is closed when it is idle or in the way. */
export interface Pool {
  /** Leaves the library of that id open, now or once it is, until what it returns is called. */
  hold(id: string): () => void;
  /** The open library of that id, or the one that is being opened. */
  get(id: string): Promise<Library> | undefined;
  /** Opens one once there is room. @throws overloaded while all that is open is held, or the node stops */
  add(id: string, open: () => Promise<Library>): Promise<Library>;
  readonly ids: readonly string[];
  /** Those that are open, without those that are being opened. */
  readonly libraries: readonly Library[];
  /** Closes it, held or not. Resolves when it is closed, whoever began that. */
  close(id: string): Promise<void>;
  /** Closes all of them for good, and returns what they were. */
  closeAll(): Promise<readonly Library[]>;
}

interface Opened {
  readonly library: Promise<Library>;
  settled: Library | null;
  usedAt: number;
}

const TIDY_EVERY_MS = 5_000;
/** Libraries that are closed at once for those who wait: the first of them is not to wait for all. */
const CLOSING_MAX = 16;
const STOPPING = "This node is stopping.";

export interface PoolOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** Called when one was closed that may be opened again. */
  readonly onClosed: (library: Library) => Promise<void>;
}

/** Who waits for room to open a library. */
interface Waiting {
  begin(): void;
  refuse(error: SyncError): void;
}

function refusal(detail: string): SyncError {
  return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
}

/** Those who wait for room, first come first served, for a while. */
function createQueue({ clock, limits }: PoolOptions) {
  /** Each with what ends its wait. */
  const waiting = new Map<Waiting, () => void>();
  const leave = (one: Waiting): void => {
    waiting.get(one)?.();
    waiting.delete(one);
  };
  return {
    get length() {
      return waiting.size;
    },
    enter: (one: Waiting): void => {
      const giveUp = (): void => {
        leave(one);
        const { openLibraries } = limits;
        one.refuse(refusal(`This node has ${openLibraries} libraries open, and all are in use.`));
      };
      waiting.set(one, clock.every(limits.libraryWaitMs, giveUp));
    },
    /** Those who have waited longest. */
    take: (count: number): Waiting[] => {
      const taken = [...waiting.keys()].slice(0, Math.max(0, count));
      taken.forEach(leave);
      return taken;
    },
  };
}

/**
 * What opens or closes a file does all of it before anything else has a turn: many at once would hold
 * up every other request, and the leases. What is returned resolves in a turn of its own.
 */
function createLine({ clock }: PoolOptions): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    const turn = Promise.withResolvers<void>();
    void last.then(() => clock.defer(turn.resolve));
    last = turn.promise;
    return last;
  };
}

/** How many hold each library. */
function createHolds(onFree: (id: string) => void) {
  const counts = new Map<string, number>();
  return {
    has: (id: string): boolean => counts.has(id),
    hold: (id: string) => {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      return (): void => {
        const count = (counts.get(id) ?? 0) - 1;
        if (count > 0) counts.set(id, count);
        else if (counts.delete(id)) onFree(id);
      };
    },
  };
}

/** Closes libraries, each once, however many want it. */
function createClosing(
  { telemetry, onClosed }: PoolOptions,
  {
    open,
    turn,
    onRoom,
  }: {
    readonly open: Map<string, Opened>;
    readonly turn: () => Promise<void>;
    readonly onRoom: () => void;
  },
) {
  const closing = new Map<string, Promise<void>>();
  const shut = async (id: string): Promise<Library | undefined> => {
    const opened = open.get(id);
    open.delete(id);
    telemetry.gauge("open_libraries", open.size);
    const library = await opened?.library;
    await turn();
    await library?.close();
    return library;
  };
  const close = (id: string): Promise<void> => {
    if (!open.has(id)) return closing.get(id) ?? Promise.resolve();
    const closed = shut(id)
      .then((library) => (library === undefined ? undefined : onClosed(library)))
      .finally(() => {
        closing.delete(id);
        onRoom();
      });
    closing.set(id, closed);
    return closed;
  };
  return { closing, shut, close };
}

/** Lets in who waits, as far as there is room, and closes what nobody holds. */
function createTidier(
  { clock, limits, telemetry }: PoolOptions,
  parts: Pick<ReturnType<typeof createClosing>, "closing" | "close"> & {
    readonly open: ReadonlyMap<string, Opened>;
    readonly queue: ReturnType<typeof createQueue>;
    readonly isHeld: (id: string) => boolean;
    readonly turn: () => Promise<void>;
  },
) {
  const { open, closing, queue } = parts;
  let isNext = false;
  /** Closes so many that are in the way, and what is idle: `open` begins with what was used longest ago. */
  const tidy = (surplus: number): void => {
    const idleSince = clock.monotonic() - limits.libraryIdleMs;
    for (const [id, { settled, usedAt }] of open) {
      if (surplus <= 0 && usedAt > idleSince) return;
      if (settled === null || parts.isHeld(id)) continue;
      surplus -= 1;
      parts
        .close(id)
        .catch((error: unknown) =>
          telemetry.log("error", "An idle library could not be closed.", { library_id: id, error }),
        );
    }
  };
  const makeRoom = (): void => {
    if (isNext || queue.length === 0) return;
    if (open.size + closing.size >= limits.openLibraries)
      return tidy(Math.min(queue.length, CLOSING_MAX) - closing.size);
    isNext = true;
    void parts.turn().then(() => {
      isNext = false;
      for (const one of queue.take(1)) one.begin();
      makeRoom();
    });
  };
  return { makeRoom, stop: clock.every(TIDY_EVERY_MS, () => tidy(0)) };
}

export function createPool(options: PoolOptions): Pool {
  const { clock, telemetry } = options;
  const open = new Map<string, Opened>();
  const makeRoom = (): void => tidier.makeRoom();
  const use = (id: string, opened: Opened): void => {
    opened.usedAt = clock.monotonic();
    // To the end, behind all that was used before.
    open.delete(id);
    open.set(id, opened);
  };
  const holds = createHolds((id) => {
    const opened = open.get(id);
    if (opened !== undefined) use(id, opened);
    makeRoom();
  });
  const queue = createQueue(options);
  const turn = createLine(options);
  const { closing, shut, close } = createClosing(options, { open, turn, onRoom: makeRoom });
  const tidier = createTidier(options, { open, closing, close, queue, isHeld: holds.has, turn });
  let isOver = false;

  const enter = (id: string, library: Promise<Library>): void => {
    const opened: Opened = { library, settled: null, usedAt: 0 };
    use(id, opened);
    telemetry.gauge("open_libraries", open.size);
    library.then(
      (settled) => (opened.settled = settled),
      () => {
        if (open.get(id) === opened) open.delete(id);
        makeRoom();
      },
    );
  };
  return {
    hold: holds.hold,
    get: (id) => open.get(id)?.library,
    add: async (id, openNow) => {
      await closing.get(id)?.catch(() => {});
      // Opened now it would take a lease that nobody gives back.
      if (isOver) throw refusal(STOPPING);
      const opened = Promise.withResolvers<Library>();
      const begin = (): void => {
        opened.resolve(openNow());
        enter(id, opened.promise);
      };
      queue.enter({ begin, refuse: opened.reject });
      makeRoom();
      return opened.promise;
    },
    get ids() {
      return [...open.keys()];
    },
    get libraries() {
      return [...open.values()].flatMap(({ settled }) => settled ?? []);
    },
    close,
    closeAll: async () => {
      isOver = true;
      tidier.stop();
      for (const one of queue.take(queue.length)) one.refuse(refusal(STOPPING));
      await Promise.allSettled(closing.values());
      const closed = await Promise.all([...open.keys()].map(shut));
      return closed.flatMap((library) => library ?? []);
    },
  };
}
