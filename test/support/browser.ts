import { createTabs } from "../../src/client/tabs.ts";
import type { Tabs, TabsHost } from "../../src/client/tabs.ts";

/** Web Locks as the specification has them, as far as the client uses them: one holder, then the next. */
function createLocks() {
  interface Wish {
    readonly tab: object;
    readonly run: () => Promise<unknown>;
  }
  const wishes: Wish[] = [];
  let holder: Wish | null = null;
  const next = (): void => {
    if (holder !== null) return;
    const wish = wishes.shift();
    if (wish === undefined) return;
    holder = wish;
    void wish.run().finally(() => release(wish));
  };
  const release = (wish: Wish): void => {
    if (holder !== wish) return;
    holder = null;
    next();
  };
  const of = (tab: object): TabsHost["locks"] => ({
    request: (async (
      _name: string,
      { signal }: { signal: AbortSignal },
      callback: () => Promise<unknown>,
    ) => {
      const wish: Wish = { tab, run: callback };
      wishes.push(wish);
      signal.addEventListener("abort", () => {
        const at = wishes.indexOf(wish);
        if (at >= 0) wishes.splice(at, 1);
      });
      // As in a browser, never at once.
      await Promise.resolve();
      next();
    }) as unknown as LockManager["request"],
  });
  return {
    of,
    kill: (tab: object): void => {
      for (let at = wishes.length - 1; at >= 0; at -= 1)
        if (wishes[at]?.tab === tab) wishes.splice(at, 1);
      if (holder?.tab === tab) release(holder);
    },
  };
}

/** A browser whose tabs live in this process, and hear each other through the channel of a host. */
export function createBrowser(
  name: string,
  channel: TabsHost["BroadcastChannel"] = BroadcastChannel,
) {
  const locks = createLocks();
  return {
    openTab: (): { tabs: Tabs; crash: () => void } => {
      const tab = {};
      const tabs = createTabs(name, { locks: locks.of(tab), BroadcastChannel: channel });
      const crash = (): void => {
        tabs.close();
        locks.kill(tab);
      };
      return { tabs, crash };
    },
  };
}
