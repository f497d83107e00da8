import { createTabs } from "../../src/client/tabs.ts";
import type { Tabs, TabsHost } from "../../src/client/tabs.ts";

/** Web Locks as the specification has them, as far as the client uses them: in the order they were asked for. */
function createLocks() {
  interface Wish {
    readonly tab: object;
    readonly name: string;
    readonly isShared: boolean;
    readonly run: () => unknown;
    readonly onDone: () => void;
    isHeld: boolean;
  }
  let wishes: readonly Wish[] = [];
  const drop = (isGone: (wish: Wish) => boolean): void => {
    wishes = wishes.filter((wish) => !isGone(wish));
    for (const [at, wish] of wishes.entries()) {
      const before = wishes.slice(0, at).filter(({ name }) => name === wish.name);
      const isFree = before.every(({ isHeld, isShared }) => isHeld && isShared && wish.isShared);
      if (isFree && !wish.isHeld) void hold(wish);
    }
  };
  const hold = async (wish: Wish): Promise<void> => {
    // It is held from now on and may be stolen; its tab is told later, and then in any case.
    wish.isHeld = true;
    await Promise.resolve();
    await wish.run();
    wish.onDone();
    drop((one) => one === wish);
  };
  const of = (tab: object): TabsHost["locks"] => ({
    request: (async (name: string, { mode, signal, steal }: LockOptions, run: () => unknown) => {
      const { promise, resolve: onDone } = Promise.withResolvers<void>();
      const wish = { tab, name, isShared: mode === "shared", run, onDone, isHeld: false };
      if (steal === true)
        wishes = [wish, ...wishes.filter((one) => !(one.isHeld && one.name === name))];
      else wishes = [...wishes, wish];
      signal?.addEventListener("abort", () => drop((one) => one === wish && !wish.isHeld));
      drop(() => false);
      return promise;
    }) as unknown as LockManager["request"],
  });
  return { of, kill: (tab: object): void => drop((wish) => wish.tab === tab) };
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
