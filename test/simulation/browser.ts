import type { bundledPlugins } from "../../plugins/index.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import { createClient } from "../../src/client/index.ts";
import { createMemoryDisk, openMemory } from "../../src/client/memory.ts";
import type { MemoryDisk } from "../../src/client/memory.ts";
import type { createRegistry } from "../../src/resource/registry.ts";
import { createBrowser as createTabsOf } from "../support/browser.ts";
import { createChannel } from "./channel.ts";
import type { Evidence } from "./invariants.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Owner, VirtualTime } from "./time.ts";

type Browser = ReturnType<typeof createTabsOf>;
type Bundled = ReturnType<typeof createRegistry<typeof bundledPlugins>>;

export interface BrowserOptions {
  readonly name: string;
  readonly url: string;
  readonly network: Network;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly library: string;
  readonly token: string;
}

const never = (): Promise<never> => new Promise(() => {});

/** One tab over the browser's disk. After a crash nothing of it is sent or stored any more. */
function openTab(options: BrowserOptions, browser: Browser, disk: MemoryDisk) {
  const { name, network, time, random } = options;
  const owner: Owner = { state: "running", skewMs: 0 };
  const { tabs, crash } = browser.openTab();
  const isDead = (): boolean => owner.state === "dead";
  const persistence = openMemory(disk);
  const fetch = network.fetchFrom(name, owner);
  const client = createClient<Bundled>({
    url: options.url,
    library: options.library,
    token: options.token,
    rules: clientRules,
    tabs,
    persistence: {
      ...persistence,
      save: (step) => (isDead() ? never() : persistence.save(step)),
      putMutations: (mutations) => (isDead() ? never() : persistence.putMutations(mutations)),
      dropMutations: (ids) => (isDead() ? never() : persistence.dropMutations(ids)),
    },
    deviceId: name,
    fetch: (url, init) => (isDead() ? never() : fetch(url, init)),
    clock: time.clockOf(owner),
    random: () => random.next(),
  });
  const list = client.query("album.list", { limit: 1_000 });
  const leave = list.subscribe(() => {});
  return {
    client,
    list,
    close: (): Promise<void> => {
      leave();
      return client.close();
    },
    crash: (): void => {
      owner.state = "dead";
      crash();
    },
  };
}

type Tab = ReturnType<typeof openTab>;

/** Writes one thing that a person may do with the list before it. */
function write({ client, list }: Tab, { name, random }: BrowserOptions): void {
  const albums = list.getSnapshot().data;
  const title = (): string => `by ${name} ${random.below(1_000_000)}`;
  const old = (): string => random.pick(albums).id;
  const insert = () => ({ id: random.id(), name: title() });
  const choices = [
    () => client.insert("album", insert()),
    () => client.delete("album", old()),
    () => client.update("album", old(), { name: title() }),
    () => client.action("album.delete", { id: old() }),
    () => {
      const [changed, gone] = [old(), old()];
      return client.batch([
        { operation: "insert", type: "album", data: insert() },
        { operation: "update", type: "album", id: changed, data: { name: title() } },
        ...(changed === gone ? [] : [{ operation: "delete", type: "album", id: gone } as const]),
      ]);
    },
  ];
  const choice = albums.length === 0 ? choices[0] : random.pick(choices);
  // What is refused is shown by `status.rejected`.
  choice?.().done.catch(() => {});
}

/**
 * A person's browser: the real client in several tabs over one disk, with a list on the screen, that
 * writes whether there is a network or not. Tabs are closed, or crash, and are opened again.
 */
export function createBrowser(options: BrowserOptions) {
  const { name, time, random } = options;
  const clock = time.clockOf({ state: "running", skewMs: 0 });
  const disk = createMemoryDisk();
  const browser = createTabsOf(name, createChannel(clock));
  const open = (): Tab => openTab(options, browser, disk);
  const tabs: Tab[] = [open(), open()];
  const life = { isStopped: false };

  const reopen = async (isCrash: boolean): Promise<void> => {
    const index = random.below(tabs.length);
    const tab = tabs[index];
    if (isCrash) tab?.crash();
    else await tab?.close();
    tabs[index] = open();
  };
  return {
    status: () => tabs.map(({ client }) => client.status.getSnapshot()),
    stop: () => {
      life.isStopped = true;
    },
    close: async () => {
      for (const tab of tabs) await tab.close();
    },
    run: async (): Promise<void> => {
      while (!life.isStopped) {
        await clock.sleep(1 + random.below(6_000));
        if (life.isStopped) break;
        const dice = random.below(10);
        if (dice < 2) await reopen(dice === 0);
        else if (dice === 2) random.pick(tabs).client.setOffline(random.chance(0.5));
        else write(random.pick(tabs), options);
      }
      tabs[0]?.client.setOffline(false);
    },
    findDivergence: (evidence: Evidence): string[] =>
      tabs.flatMap((tab, index) => findDivergence(tab, `${name}, tab ${index + 1},`, evidence)),
  };
}

/** What the screen shows must be what the database holds (I7). */
function findDivergence({ client, list }: Tab, name: string, { rows, head }: Evidence): string[] {
  const shown = list.getSnapshot().data;
  const byId = new Map(shown.map((record) => [record.id, record]));
  const broken: string[] = [];
  const { connection, pendingCount, cursor } = client.status.getSnapshot();
  if (connection !== "live" || pendingCount > 0 || cursor !== head)
    broken.push(`${name} is ${connection} at ${cursor} of ${head}, ${pendingCount} pending`);
  if (shown.length !== byId.size) broken.push(`I7: ${name} shows a record twice`);
  for (const id of new Set([...rows.keys(), ...byId.keys()])) {
    const [held, row] = [byId.get(id), rows.get(id)];
    if (held?.version !== row?.version || held?.name !== row?.name) {
      const seen = JSON.stringify([held?.version, held?.name]);
      broken.push(
        `I7: at head ${head} record ${id} is ${JSON.stringify(row)}, ${name} shows ${seen}`,
      );
    }
  }
  const names = shown.map((record) => record.name);
  if (names.join("\n") !== names.toSorted().join("\n"))
    broken.push(`I7: ${name} shows its list out of order`);
  return broken;
}
