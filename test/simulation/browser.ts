import type { bundledPlugins } from "../../plugins/index.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import { createClient } from "../../src/client/index.ts";
import { openMemory } from "../../src/client/memory.ts";
import type { createRegistry } from "../../src/resource/registry.ts";
import type { Evidence } from "./invariants.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Owner, VirtualTime } from "./time.ts";

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

/**
 * A person's browser: the real client, with a list on the screen, that writes whether there is a network
 * or not, and whose page is closed and opened again over the same disk.
 */
export function createBrowser(options: BrowserOptions) {
  const { name, network, time, random } = options;
  const disk = openMemory();
  const owner: Owner = { state: "running", skewMs: 0 };
  const clock = time.clockOf(owner);
  const fetch = network.fetchFrom(name, owner);
  const open = () => {
    const client = createClient<Bundled>({
      url: options.url,
      library: options.library,
      token: options.token,
      rules: clientRules,
      persistence: disk,
      deviceId: name,
      fetch: (url, init) => fetch(url, init),
      clock,
      random: () => random.next(),
    });
    const list = client.query("album.list", { limit: 1_000 });
    return { client, list, leave: list.subscribe(() => {}) };
  };
  let page = open();
  const life = { isStopped: false };

  const write = (): void => {
    const { client, list } = page;
    const albums = list.getSnapshot().data;
    const choice = random.below(4);
    const title = `by ${name} ${random.below(1_000_000)}`;
    const old = (): string => random.pick(albums).id;
    const handle =
      albums.length === 0 || choice === 0
        ? client.insert("album", { id: random.id(), name: title })
        : choice === 1
          ? client.delete("album", old())
          : client.update("album", old(), { name: title });
    // What is refused is shown by `status.rejected`.
    handle.done.catch(() => {});
  };
  return {
    status: () => page.client.status.getSnapshot(),
    stop: () => {
      life.isStopped = true;
    },
    close: () => page.client.close(),
    run: async (): Promise<void> => {
      while (!life.isStopped) {
        await clock.sleep(1 + random.below(6_000));
        if (life.isStopped) break;
        const dice = random.below(10);
        if (dice === 0) {
          page.leave();
          await page.client.close();
          page = open();
        } else if (dice === 1) page.client.setOffline(random.chance(0.5));
        else write();
      }
      page.client.setOffline(false);
    },
    /** What the screen shows must be what the database holds (I7). */
    findDivergence: ({ rows, head }: Evidence): string[] => {
      const shown = page.list.getSnapshot().data;
      const byId = new Map(shown.map((record) => [record.id, record]));
      const broken: string[] = [];
      const { connection, pendingCount, cursor } = page.client.status.getSnapshot();
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
    },
  };
}
