import type { Engine } from "./engine.ts";

/** How often answers past their time are looked for. */
const expiryMs = 5_000;

/** Calls back when the browser says that the network is back, or gone. */
function hearNetwork(onChange: (isThere: boolean) => void): () => void {
  const life = new AbortController();
  // Not every runtime has events.
  const { addEventListener } = globalThis as Partial<typeof globalThis>;
  for (const type of ["online", "offline"])
    addEventListener?.(type, () => onChange(type === "online"), life);
  return () => life.abort();
}

/** Reads the disk, then connects. */
async function open(engine: Engine): Promise<void> {
  const { feed, keeper, life, session, status } = engine;
  try {
    const identity = await keeper.load(life);
    if (identity !== null) feed.restore(identity);
  } catch (error) {
    engine.onFailure(error);
  }
  await engine.loadQueue();
  if (life.isClosed) return;
  session.start();
  status.refresh();
}

/** The life of a client: `ready` once the disk was read; `stop` ends it. */
export interface Running {
  readonly ready: Promise<void>;
  /** Ends this tab. `forget`: somebody signed out, so nothing is stored or sent any more. */
  readonly stop: (forget?: () => Promise<void>) => Promise<void>;
}

export function startEngine(engine: Engine): Running {
  const { cache, clock, events, keeper, life, outbox, requests, session, status } = engine;
  cache.onStale = (keys, records) => {
    for (const key of keys) void requests.fetchQuery(key);
    for (const ref of records) void requests.fetchRecord(ref);
  };
  const ready = open(engine);
  const stopExpiring = clock.every(expiryMs, () => cache.expire(clock.now()));
  const stopHearing = hearNetwork((isThere) => session.hearNetwork(isThere));
  return {
    ready,
    stop: async (forget) => {
      if (life.isClosed) return;
      if (forget !== undefined) {
        life.isClosed = true;
        keeper.setWriting(false, false);
      }
      await ready;
      await outbox.flush();
      await keeper.flush();
      keeper.setWriting(false, false);
      life.isClosed = true;
      stopExpiring();
      stopHearing();
      outbox.close();
      events.emit(null);
      // The lead is given away last: whoever takes it must find the disk as it is to be.
      try {
        await (forget ?? keeper.close)();
      } finally {
        session.close();
        status.refresh();
      }
    },
  };
}
