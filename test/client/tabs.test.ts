import "fake-indexeddb/auto";
import { expect, test } from "bun:test";
import { clientRules } from "../../plugins/rules/index.ts";
import { eventsOf } from "../../src/client/event-feed.ts";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openIndexedDb, openMemory } from "../../src/client/index.ts";
import type { ClientOptions, Persistence, Tabs } from "../../src/client/index.ts";
import { createBrowser } from "../support/browser.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import type { BundledClient } from "../support/client-world.ts";

type World = Awaited<ReturnType<typeof createClientWorld>>;

/** Tabs of one browser over one disk; counts the streams they hold. */
function openBrowser(world: World) {
  const browser = createBrowser(createId());
  const disk = createMemoryDisk();
  const streams = { open: 0 };
  /** `hears`: which messages of the others arrive. */
  const openTab = (
    hears: (kind: string) => boolean = () => true,
    more: Partial<ClientOptions> = {},
  ) => {
    const { tabs: whole, crash } = browser.openTab();
    const tabs: Tabs = {
      ...whole,
      onMessage: (listener) =>
        whole.onMessage((message) => {
          if (hears(message.kind)) listener(message);
        }),
    };
    const life = { isDead: false };
    const client = world.open({
      tabs,
      persistence: openMemory(disk),
      fetch: async (url, init) => {
        if (life.isDead) throw new TypeError("The tab is gone.");
        const response = await world.direct(url, init);
        if (url.includes("/events")) streams.open += 1;
        return response;
      },
      ...more,
    });
    return {
      client,
      /** As if the browser had killed it: nothing is said or stored any more. */
      crash: () => {
        life.isDead = true;
        crash();
        client.setOffline(true);
      },
    };
  };
  return { openTab, streams, disk };
}

const live = ({ connection }: { connection: string }) => connection === "live";
const watch = (client: BundledClient) => {
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  return albums;
};
const names = (data: readonly unknown[]) => data.map((one) => (one as { name: string }).name);

test("C12: tabs share one stream, and all see what happens", async () => {
  await using world = await createClientWorld();
  const { openTab, streams } = openBrowser(world);
  const tabs = [openTab(), openTab(), openTab()].map(({ client }) => client);
  const lists = tabs.map(watch);
  for (const { status } of tabs) await until(status, live);
  for (const list of lists) await until(list, ({ status }) => status === "ready");
  await world.insertAlbum("Iceland");
  for (const list of lists) await until(list, ({ data }) => data.length === 1);
  expect(streams.open).toBe(1);
  const [leader, ...heirs] = tabs;
  const seen: string[] = [];
  for (const { status } of heirs)
    status.subscribe(() => seen.push(status.getSnapshot().connection));
  await leader?.close();
  await world.insertAlbum("Oslo");
  for (const list of lists.slice(1)) await until(list, ({ data }) => data.length === 2);
  expect([streams.open, seen.includes("closed")]).toEqual([2, false]);
});

test("C13: every tab may write, offline too, and all show it at once", async () => {
  await using world = await createClientWorld();
  const { openTab } = openBrowser(world);
  const [first, second] = [openTab().client, openTab().client];
  const lists = [watch(first), watch(second)];
  await until(first.status, live);
  await until(second.status, live);
  first.setOffline(true);
  await until(second.status, ({ connection }) => connection === "offline");
  const handles = [
    first.insert("album", { name: "by one" }),
    second.insert("album", { name: "by two" }),
  ];
  for (const list of lists)
    expect(names((await until(list, ({ data }) => data.length === 2)).data)).toEqual([
      "by one",
      "by two",
    ]);
  second.setOffline(false);
  for (const { done } of handles) expect((await done).resources[0]?.version).toBe(1);
  for (const client of [first, second]) await client.synced();
  expect(await world.sequences()).toEqual([1, 2]);
});

test("C13: what a tab wrote is sent by the leader, although its twin fails there", async () => {
  await using world = await createClientWorld();
  const { openTab } = openBrowser(world);
  const fails = (): never => {
    throw new Error("not held here");
  };
  const rules = { ...clientRules, actions: { "file.rename": { optimistic: fails } } };
  const leader = openTab(undefined, { rules }).client;
  await until(leader.status, live);
  const { client } = openTab();
  await until(client.status, live);
  const { done } = client.action("file.rename", { id: createId(), name: "b" });
  await expect(done).rejects.toMatchObject({ problem: { code: "not_found" } });
  await client.insert("album", { name: "behind it" }).done;
  expect(leader.status.getSnapshot().rejected.length).toBe(1);
});

test("C13: a tab that is opened while the others are cut off is cut off too, also once it leads", async () => {
  await using world = await createClientWorld();
  const { openTab, streams } = openBrowser(world);
  const leader = openTab().client;
  await until(leader.status, live);
  leader.setOffline(true);
  expect(leader.status.getSnapshot().isPaused).toBe(true);
  const heir = openTab().client;
  await until(heir.status, ({ isPaused }) => isPaused);
  const closing = leader.close();
  heir.insert("album", { name: "waits" });
  await closing;
  const { connection, pendingCount } = await until(heir.status, (now) => now.pendingCount === 1);
  expect([connection, pendingCount, streams.open]).toEqual(["offline", 1, 1]);
  heir.setOffline(false);
  await heir.synced();
  expect(await world.sequences()).toEqual([1]);
});

test("C14: the leading tab dies with writes under way; another takes over, and nothing is lost or doubled", async () => {
  await using world = await createClientWorld();
  const { openTab } = openBrowser(world);
  const leader = openTab();
  await until(leader.client.status, live);
  const heirs = [openTab().client, openTab().client];
  const lists = heirs.map(watch);
  for (const { status } of heirs) await until(status, live);
  const handles = heirs.map((client, index) => client.insert("album", { name: `heir ${index}` }));
  leader.client.insert("album", { name: "of the dead" });
  await until(leader.client.status, ({ pendingCount }) => pendingCount >= 3);
  leader.crash();
  await world.insertAlbum("meanwhile");
  for (const { done } of handles) await done;
  for (const list of lists) {
    const { data } = await until(list, (now) => now.data.length === 4);
    expect(names(data)).toEqual(["heir 0", "heir 1", "meanwhile", "of the dead"]);
  }
  for (const client of heirs) await client.synced();
  expect(await world.sequences()).toEqual([1, 2, 3, 4]);
});

test("C14: who takes over writes a base that is whole", async () => {
  await using world = await createClientWorld();
  const { openTab, disk } = openBrowser(world);
  const leader = openTab();
  watch(leader.client);
  await until(leader.client.status, live);
  const heir = openTab().client;
  const list = watch(heir);
  await until(heir.status, live);
  for (const name of ["a", "b"]) await world.insertAlbum(name);
  await until(list, ({ data }) => data.length === 2);
  leader.crash();
  await world.insertAlbum("c");
  await until(list, ({ data }) => data.length === 3);
  await until(heir.status, live);
  await heir.close();
  expect(disk.meta?.cursor).toBe(3);
  expect(new Set(Array.from(disk.records.values(), ({ record }) => record?.["name"]))).toEqual(
    new Set(["a", "b", "c"]),
  );
});

test("C13: a tab that reads the queue while another settles it does not wait for what is done", async () => {
  await using world = await createClientWorld();
  const browser = createBrowser(createId());
  const disk = openMemory();
  const { promise: maySend, resolve: send } = Promise.withResolvers<void>();
  const open = (persistence: Persistence) =>
    world.open({
      persistence,
      tabs: browser.openTab().tabs,
      fetch: async (url, init) => {
        if (url.endsWith("/mutations")) await maySend;
        return world.direct(url, init);
      },
    });
  const leader = open(disk);
  const edit = leader.insert("album", { name: "Iceland" });
  await until(edit, ({ state }) => state === "sent");
  // Who hears last tells when the others can have heard.
  const heard = Promise.withResolvers<void>();
  const late = open({
    ...disk,
    loadQueue: async () => {
      const queue = await disk.loadQueue();
      send();
      await heard.promise;
      return queue;
    },
  });
  const { tabs: last } = browser.openTab();
  last.onMessage(({ kind }) => void (kind === "settled" && heard.resolve()));
  await late.synced();
  expect([late.status.getSnapshot().pendingCount, await world.sequences()]).toEqual([0, [1]]);
  last.close();
});

test("C15: a tab that missed frames has the stream opened again from its cursor, and the others pass over what they have", async () => {
  await using world = await createClientWorld();
  const { openTab, streams } = openBrowser(world);
  const leader = openTab().client;
  const leaderList = watch(leader);
  const events = eventsOf(leader);
  await until(leader.status, live);
  const lost = { due: 0, count: 0 };
  const dropped = Promise.withResolvers<void>();
  const late = openTab((kind) => {
    if (kind !== "frames" || lost.due === 0) return true;
    lost.due -= 1;
    lost.count += 1;
    dropped.resolve();
    return false;
  }).client;
  const list = watch(late);
  await until(late.status, live);
  await until(list, ({ status }) => status === "ready");
  lost.due = 1;
  await world.insertAlbum("a");
  await until(leaderList, ({ data }) => data.length === 1);
  await dropped.promise;
  expect([late.status.getSnapshot().cursor, streams.open]).toEqual([0, 1]);
  await world.insertAlbum("b");
  await until(list, ({ data }) => data.length === 2);
  expect(names(list.getSnapshot().data)).toEqual(["a", "b"]);
  expect([lost.count, late.status.getSnapshot().cursor, streams.open]).toEqual([1, 2, 2]);
  await until(leader.status, live);
  await world.insertAlbum("c");
  const heard = [await events.next(), await events.next(), await events.next()];
  expect(heard.map(({ value }) => value.envelope.sequence)).toEqual([1, 2, 3]);
});

test("PERSIST-12: signing out in one tab closes all and leaves nothing on disk", async () => {
  await using world = await createClientWorld();
  const { openTab, disk } = openBrowser(world);
  const [first, second] = [openTab().client, openTab().client];
  watch(first);
  await until(second.status, live);
  await world.insertAlbum("secret");
  await first.waitFor(1);
  first.setOffline(true);
  second.insert("album", { name: "never sent" });
  await until(first.status, ({ pendingCount }) => pendingCount === 1);
  await first.signOut();
  await until(second.status, ({ connection }) => connection === "closed");
  expect([disk.meta, disk.records.size, disk.queries.size, disk.queue.size]).toEqual([
    null,
    0,
    0,
    0,
  ]);
});

const name = createId();
const shared = createMemoryDisk();
test.each<[string, () => Persistence | undefined]>([
  ["no disk", () => undefined],
  ["a memory each", () => openMemory()],
  ["one memory", () => openMemory(shared)],
  ["IndexedDB", () => openIndexedDb({ name })],
])(
  "PERSIST-12: an heir hears of the signing out before it leads, and sends nothing of what was queued (%s)",
  async (_, openDisk) => {
    await using world = await createClientWorld();
    const browser = createBrowser(createId());
    const isOut = Promise.withResolvers<void>();
    const hasLed: string[] = [];
    const openTab = (who: string, mayWrite: boolean) => {
      const { tabs } = browser.openTab();
      const persistence = openDisk();
      return world.open({
        ...(persistence === undefined ? {} : { persistence }),
        tabs: {
          ...tabs,
          // The channel is slower than the lock.
          onMessage: (listener) =>
            tabs.onMessage((message) => {
              if (message.kind !== "signedOut") listener(message);
              else void isOut.promise.then(() => listener(message));
            }),
          lead: (onLead) =>
            tabs.lead(() => {
              hasLed.push(who);
              onLead();
            }),
        },
        fetch: (url, init) =>
          !mayWrite && url.endsWith("/mutations")
            ? Promise.reject(new TypeError("no network"))
            : world.direct(url, init),
      });
    };
    const leader = openTab("leader", false);
    await until(leader.status, live);
    const heir = openTab("heir", true);
    const other = openTab("other", true);
    for (const { status } of [heir, other]) await until(status, live);
    leader.insert("album", { name: "never sent" });
    await until(heir.status, ({ pendingCount }) => pendingCount === 1);
    await other.signOut();
    // Who signs in again waits until nobody of before is left.
    const next = openTab("next", true);
    await next.ready;
    expect([heir.status.getSnapshot().connection, hasLed]).toEqual(["live", ["leader"]]);
    isOut.resolve();
    await until(heir.status, ({ connection }) => connection === "closed");
    await until(next.status, live);
    expect(hasLed).toEqual(["leader", "next"]);
    expect(await world.sequences()).toEqual([]);
  },
);

/** The third has read what was queued, and does not listen yet, when the others sign out. */
test.each([
  ["reads a memory", () => openMemory(shared)],
  ["reads IndexedDB", () => openIndexedDb({ name })],
])(
  "PERSIST-12: two tabs sign out at once while a third %s: it ends too, and the next one leads",
  async (_, openDisk) => {
    await using world = await createClientWorld();
    const browser = createBrowser(createId());
    const hasRead = Promise.withResolvers<void>();
    const areOut = Promise.withResolvers<void>();
    const open = (persistence: Persistence, mayWrite: boolean) =>
      world.open({
        persistence,
        tabs: browser.openTab().tabs,
        fetch: (url, init) =>
          !mayWrite && url.endsWith("/mutations")
            ? Promise.reject(new TypeError("no network"))
            : world.direct(url, init),
      });
    const [first, second] = [open(openDisk(), false), open(openDisk(), false)];
    for (const { status } of [first, second]) await until(status, live);
    second.insert("album", { name: "never sent" });
    await until(first.status, ({ pendingCount }) => pendingCount === 1);
    const disk = openDisk();
    const third = open(
      {
        ...disk,
        loadQueue: async () => {
          const queue = await disk.loadQueue();
          hasRead.resolve();
          await areOut.promise;
          return queue;
        },
      },
      true,
    );
    await hasRead.promise;
    // Whoever hears last has heard both.
    const told = Promise.withResolvers<void>();
    const last = browser.openTab().tabs;
    const heard: string[] = [];
    last.onMessage(({ kind }) => {
      heard.push(kind);
      if (heard.filter((one) => one === "signedOut").length === 2) told.resolve();
    });
    await Promise.all([first.signOut(), second.signOut()]);
    await told.promise;
    last.close();
    areOut.resolve();
    await until(third.status, ({ connection }) => connection === "closed");
    const next = open(openDisk(), true);
    await until(next.status, live);
    await next.synced();
    expect(await openDisk().loadQueue()).toEqual([]);
    expect(await world.sequences()).toEqual([]);
    await next.signOut();
  },
);
