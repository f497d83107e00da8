import type { Browser, Locator, Page } from "playwright-core";
import type { Client } from "../../src/client/index.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface WatchedList {
  readonly name: string;
  readonly input: Fields;
}

/** What a browser holds, as its page tells. */
export interface Held {
  readonly cursor: number;
  readonly pendingCount: number;
  /** By place, `memory` and `disk`, and by `type:id`; null for what is known to be gone. */
  readonly records: Readonly<Record<string, Readonly<Record<string, Fields | null>>>>;
  readonly lists: readonly { readonly isStale: boolean; readonly ids: readonly string[] }[];
}

interface Question {
  readonly database: string;
  readonly keys: readonly string[];
  readonly lists: readonly WatchedList[];
}

/** Runs in the page: all that its client knows, and all that lies in IndexedDB. */
async function readHeld({ database, keys, lists }: Question): Promise<Held> {
  const page = globalThis as unknown as {
    syncline: Client & {
      query(name: string, input: Fields): ReturnType<Client["query"]>;
      record(type: string, id: string): ReturnType<Client["record"]>;
    };
    watched?: Set<string>;
  };
  const { syncline } = page;
  const watched = (page.watched ??= new Set());
  const read = lists.map(({ name, input }) => {
    const query = syncline.query(name, input);
    if (!watched.has(query.key.text)) query.subscribe(() => {});
    watched.add(query.key.text);
    const { data, status, isStale, isFetching } = query.getSnapshot();
    const ids = data.map((one) => (one as { id: string }).id);
    return { isStale: isStale || isFetching || status !== "ready", ids };
  });
  const opened = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(database);
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
  const rows = await new Promise<{ type: string; id: string; record: Fields | null }[]>(
    (resolve) => {
      const request = opened.transaction("records").objectStore("records").getAll();
      request.addEventListener("success", () => resolve(request.result));
    },
  );
  opened.close();
  const disk = Object.fromEntries(rows.map(({ type, id, record }) => [`${type}:${id}`, record]));
  const memory: Record<string, Fields | null> = {};
  for (const key of new Set([...keys, ...Object.keys(disk)])) {
    const [type = "", id = ""] = key.split(":");
    const { data, isKnown } = syncline.record(type, id).getSnapshot();
    if (isKnown) memory[key] = data;
  }
  const { cursor, pendingCount } = syncline.status.getSnapshot();
  return { cursor, pendingCount, records: { memory, disk }, lists: read };
}

/** What a person does in one window. Every step waits for what it needs, and for nothing else. */
export function createHand(page: Page) {
  const at = (testId: string, text?: string): Locator =>
    text === undefined
      ? page.getByTestId(testId)
      : page.getByTestId(testId).filter({ hasText: text });
  const type = async (testId: string, text: string) => {
    await at(testId).fill(text);
    await page.keyboard.press("Enter");
  };
  const select = async (...names: readonly string[]) => {
    for (const [index, name] of names.entries())
      await at("file-row", name).click(index === 0 ? {} : { modifiers: ["Control"] });
  };
  const choose = async (menu: string, name: string) => {
    await at(menu).click();
    await page.getByRole("menuitem", { name }).click();
  };
  return {
    at,
    choose,
    select,
    openFolder: async (...names: readonly string[]) => {
      await at("location-link").first().click();
      for (const name of names) {
        await at("file-row", name).dblclick();
        await at("page-title", name).waitFor();
      }
    },
    openAlbum: async (name: string) => {
      await at("album-link", name).click();
      await at("album-name", name).waitFor();
    },
    createAlbum: async (name: string) => {
      await at("new-album").click();
      await type("new-album-name", name);
      await at("album-name", name).waitFor();
    },
    renameAlbum: async (name: string) => {
      await at("album-name").click();
      await type("album-name-input", name);
      await at("album-name", name).waitFor();
    },
    renameFile: async (name: string, next: string) => {
      await select(name);
      await at("file-name").click();
      await type("file-name-input", next);
      await at("file-row", next).waitFor();
    },
    moveTo: async (folder: string) => {
      await at("move").click();
      await at("move-folder", folder).click();
      await at("move-here").click();
    },
    /** Drags the card at one place to another. */
    drag: async (from: number, to: number) => {
      const [start, end] = await Promise.all(
        [from, to].map((index) => at("album-item").nth(index).boundingBox()),
      );
      if (start == null || end == null) throw new Error("There is no such card.");
      const middle = (box: typeof start) =>
        [box.x + box.width / 2, box.y + box.height / 2] as const;
      await page.mouse.move(...middle(start));
      await page.mouse.down();
      await page.mouse.move(...middle(end), { steps: 8 });
      await page.mouse.up();
    },
    status: (wanted: { readonly connection?: string; readonly pending?: number }) => {
      const { connection, pending } = wanted;
      const is = connection === undefined ? "" : `[data-connection="${connection}"]`;
      const has = pending === undefined ? "" : `[data-pending="${pending}"]`;
      return page.locator(`[data-testid=sync-status]${is}${has}`).waitFor();
    },
    switchOffline: () =>
      page
        .locator("label", { has: at("offline-switch") })
        .first()
        .click(),
    albums: () => at("album-link").allInnerTexts(),
  };
}

/** A browser profile of its own, with one window that has signed in by the link. */
export async function openDevice(browser: Browser, link: string) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 840 } });
  const problems: string[] = [];
  /** Streams that were asked for, by all windows together. */
  const streams = { count: 0 };
  context.on("weberror", (error) => problems.push(error.error().message));
  context.on("request", (request) => {
    if (request.url().includes("/events?")) streams.count += 1;
  });
  const openWindow = async (address: string) => {
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(address);
    await page.getByTestId("sync-status").waitFor();
    return page;
  };
  const page = await openWindow(link);
  const hand = createHand(page);
  await hand.status({ connection: "live" });
  return {
    ...hand,
    context,
    page,
    problems,
    streams,
    openWindow: async () => openWindow(page.url()),
    held: (question: Question, other: Page = page) => other.evaluate(readHeld, question),
    /** Resolves once the worker holds the page, so that it opens without the service. */
    untilKept: () =>
      page.waitForFunction(async () => {
        const registration = await navigator.serviceWorker.getRegistration();
        return registration?.active?.state === "activated";
      }),
  };
}

export type Device = Awaited<ReturnType<typeof openDevice>>;
