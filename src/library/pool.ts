import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Library } from "./library.ts";

/** The libraries that are open: a bounded number, closed again when nobody uses them. */
export interface Pool {
  /** The open library of that id, or the one that is being opened; marks it as used. */
  get(id: string): Promise<Library> | undefined;
  add(id: string, library: Promise<Library>): Promise<Library>;
  readonly size: number;
  close(id: string): Promise<void>;
  closeAll(): Promise<void>;
}

interface Opened {
  readonly library: Promise<Library>;
  usedAt: number;
}

const TIDY_EVERY_MS = 5_000;

export function createPool(options: {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}): Pool {
  const { clock, limits, telemetry } = options;
  const open = new Map<string, Opened>();
  const close = async (id: string): Promise<void> => {
    const opened = open.get(id);
    open.delete(id);
    telemetry.gauge("open_libraries", open.size);
    await opened?.library.then((library) => library.close());
  };
  /** Closes what nobody uses; past the bound, what was used longest ago. */
  const tidy = async (): Promise<void> => {
    const now = clock.monotonic();
    let surplus = open.size - limits.openLibraries;
    for (const [id, opened] of [...open].toSorted(([, a], [, b]) => a.usedAt - b.usedAt)) {
      const { hub, committer } = await opened.library;
      if (hub.size > 0 || committer.length > 0) continue;
      if (surplus <= 0 && now - opened.usedAt < limits.libraryIdleMs) continue;
      await close(id);
      surplus -= 1;
    }
  };
  const stopTidying = clock.every(TIDY_EVERY_MS, () => {
    tidy().catch((error: unknown) =>
      telemetry.log("error", "An idle library could not be closed.", { error }),
    );
  });
  return {
    get: (id) => {
      const opened = open.get(id);
      if (opened !== undefined) opened.usedAt = clock.monotonic();
      return opened?.library;
    },
    add: (id, library) => {
      open.set(id, { library, usedAt: clock.monotonic() });
      library.catch(() => open.delete(id));
      telemetry.gauge("open_libraries", open.size);
      return library;
    },
    get size() {
      return open.size;
    },
    close,
    closeAll: async () => {
      stopTidying();
      await Promise.all([...open.keys()].map(close));
    },
  };
}
