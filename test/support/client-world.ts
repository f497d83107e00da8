import { bundledPlugins } from "../../plugins/index.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { createClient } from "../../src/client/index.ts";
import type { Client, ClientOptions, MemoryDisk } from "../../src/client/index.ts";
import { createRegistry } from "../../src/resource/registry.ts";
import { createWorld } from "./world.ts";
import type { WorldOptions } from "./world.ts";

/** Waits are a fiftieth of what they would be; time itself is real. */
export const briskClock: Clock = {
  ...systemClock,
  sleep: (ms) => systemClock.sleep(ms / 50),
  every: (ms, callback) => systemClock.every(ms / 50, callback),
};

const registry = createRegistry(bundledPlugins);
export type BundledClient = Client<typeof registry>;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A service in this process and clients of its library, which all end with it. */
export async function createClientWorld(options: WorldOptions = {}) {
  const world = await createWorld(options);
  const clients: BundledClient[] = [];
  const direct: Fetch = async (url, init) => world.app.fetch(new Request(url, init));
  const open = (more: Partial<ClientOptions> = {}): BundledClient => {
    const client = createClient<typeof registry>({
      url: "http://service",
      library: world.library.state.id,
      token: world.token,
      rules: clientRules,
      fetch: direct,
      clock: briskClock,
      random: () => 0,
      ...more,
    });
    clients.push(client);
    return client;
  };
  return {
    ...world,
    direct,
    open,
    /** Writes past all clients. */
    write: async (change: object) => {
      const { status, body } = await world.send("POST", `${world.at}/commit`, change);
      if (status !== 200) throw new Error(JSON.stringify(body));
      return body.sequence as number;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) await client.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

/** Resolves once `isTrue`; a store tells when to look. @throws with what was seen, when even a busy machine would have it */
export async function until<Value>(
  store: { getSnapshot(): Value; subscribe(listener: () => void): () => void },
  isTrue: (value: Value) => boolean,
): Promise<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  const late = setTimeout(
    () => reject(new Error(`Waited in vain: ${JSON.stringify(store.getSnapshot())}`)),
    20_000,
  );
  const check = (): void => {
    const value = store.getSnapshot();
    if (isTrue(value)) resolve(value);
  };
  const end = store.subscribe(check);
  check();
  return promise.finally(() => {
    clearTimeout(late);
    end();
  });
}

/** Resolves once nothing waits on the disk: what was sent leaves it after the edit itself is there. */
export async function untilSent({ queue }: MemoryDisk): Promise<void> {
  while (queue.size > 0) await Bun.sleep(1);
}
