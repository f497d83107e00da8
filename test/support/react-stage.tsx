import type { ReactNode } from "react";
import type { bundledPlugins } from "../../plugins/index.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import { createClient } from "../../src/client/index.ts";
import type { Client } from "../../src/client/index.ts";
import { createHooks } from "../../src/client/react.ts";
import { openPage } from "./dom.tsx";
import type { Fetch } from "./client-world.ts";
import { createWorld } from "./world.ts";

interface App {
  readonly plugins: typeof bundledPlugins;
}
export const hooks = createHooks<App>();

/** A service, a client of its library, a page, and the requests the client made. */
export async function createStage() {
  const world = await createWorld();
  const requests: string[] = [];
  const clients: Client<App>[] = [];
  const direct: Fetch = async (url, init) => world.app.request(url, init);
  const open = (fetch: Fetch = direct, library: string = world.library.state.id): Client<App> => {
    const client = createClient<App>({
      url: "http://service.test",
      library,
      token: world.token,
      rules: clientRules,
      fetch: (url, init) => {
        requests.push(new URL(url).pathname.replace(world.at, ""));
        return fetch(url, init);
      },
    });
    clients.push(client);
    return client;
  };
  const client = open();
  const page = await openPage();
  const around = (node: ReactNode, one: Client<App> = client) => (
    <hooks.SynclineProvider client={one}>{node}</hooks.SynclineProvider>
  );
  return {
    world,
    client,
    page,
    direct,
    /** Another client of the same service. */
    open,
    around,
    show: (node: ReactNode, one: Client<App> = client) => page.render(around(node, one)),
    queriesAsked: () => requests.filter((path) => path.startsWith("/query/")),
    [Symbol.asyncDispose]: async () => {
      await page[Symbol.asyncDispose]();
      for (const one of clients) await one.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

const never = { done: Promise.reject(new Error("It was not rendered.")) };
never.done.catch(() => {});
/** What a test calls before its component was rendered. */
export const notRendered = () => never;

/** What a component showed, without repetitions. */
export function createHistory() {
  const all: string[] = [];
  const note = (text: string): string => {
    if (all.at(-1) !== text) all.push(text);
    return text;
  };
  return { all, note };
}
