/**
 * Clients behind a network that lies, over the real service on libSQL. Once the network heals, what
 * every client holds equals a fresh answer of the service, and every write has one known fate.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import type { BundledClient } from "../support/client-world.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import { createLyingFetch, createRandom, everyFault } from "../support/lying-fetch.ts";
import type { Fault } from "../support/lying-fetch.ts";

type World = Awaited<ReturnType<typeof createClientWorld>>;

/** What the service says now, to someone who never asked before. */
async function truth(world: World, input: object): Promise<unknown[]> {
  const { body } = await world.send("POST", `${world.at}/query/album.list`, { input });
  const albums = new Map(body.included.album.map((one: { id: string }) => [one.id, one]));
  return body.data.map((id: string) => {
    const { cover_id, ...rest } = albums.get(id) as { cover_id: unknown };
    return { ...rest, coverId: cover_id };
  });
}

async function converged(world: World, client: BundledClient): Promise<void> {
  await client.synced();
  const { sequence } = (await world.send("GET", `${world.at}/resources/album?limit=1`)).body;
  await client.waitFor(sequence);
  for (const input of [{}, { sort: "-name" as const, limit: 5 }]) {
    const handle = client.query("album.list", input);
    const end = handle.subscribe(() => {});
    await until(
      handle,
      ({ status, isStale, isFetching }) => status === "ready" && !isStale && !isFetching,
    );
    expect(handle.getSnapshot().data as unknown[]).toEqual(await truth(world, input));
    end();
  }
}

/** Answers the faults that did not strike. */
async function runSeed(seed: number): Promise<ReadonlySet<Fault>> {
  const random = createRandom(seed);
  await using world = await createClientWorld({ limits: { ringEvents: 16, heartbeatMs: 100 } });
  // Whatever chance brings besides, each fault strikes at least once, so that a run proves something.
  const due = new Set(everyFault);
  const networks: ReturnType<typeof createLyingFetch>["network"][] = [];
  const disks = [createMemoryDisk(), createMemoryDisk(), createMemoryDisk()];
  const openOne = (index: number): BundledClient => {
    const { network, fetch } = createLyingFetch(world.direct, random, due);
    networks.push(network);
    const client = world.open({
      fetch,
      token: () => world.token,
      persistence: openMemory(disks[index]),
      silenceMs: 2_000,
      random,
    });
    for (const input of [{}, { sort: "-name" as const, limit: 5 }])
      client.query("album.list", input).subscribe(() => {});
    return client;
  };
  const clients = disks.map((_, index) => openOne(index));
  const ids: string[] = [];
  const handles: { readonly id: string; readonly done: Promise<unknown> }[] = [];
  for (let turn = 0; turn < 60 || (due.size > 0 && turn < 300); turn += 1) {
    const at = Math.floor(random() * clients.length);
    const client = clients[at];
    if (client === undefined) continue;
    const id = ids[Math.floor(random() * ids.length)];
    const dice = random();
    if (dice < 0.4 || id === undefined) {
      const made = createId();
      ids.push(made);
      handles.push(
        client.insert("album", { id: made, name: `album ${Math.floor(random() * 50)}` }),
      );
    } else if (dice < 0.7) handles.push(client.update("album", id, { name: `renamed ${turn}` }));
    else if (dice < 0.8) handles.push(client.delete("album", id));
    else if (dice < 0.85) client.setOffline(true);
    else if (dice < 0.92) client.setOffline(false);
    else if (dice < 0.95) {
      // Reload: what was queued comes back from disk.
      await client.close();
      clients[at] = openOne(at);
    } else await world.insertAlbum(`from elsewhere ${turn}`);
    await new Promise((resolve) => setTimeout(resolve, random() * 12));
  }
  for (const network of networks) network.isHealed = true;
  for (const client of clients) {
    client.setOffline(false);
    client.setToken(world.token);
  }
  // Nobody writes any more from here on, or an answer would be older than the truth.
  await Promise.all(clients.map((client) => client.synced()));
  for (const client of clients) await converged(world, client);
  // Nobody but the service refuses a write.
  const codes = clients.flatMap(({ status }) =>
    status.getSnapshot().rejected.map(({ problem }) => problem.code),
  );
  expect(codes.filter((code) => !/^(not_found|already_exists)$/.test(code))).toEqual([]);
  const sequences = await world.sequences();
  expect(sequences).toEqual(sequences.map((_, index) => index + 1));
  // I5: a mutation that was sent often took effect once: in one transaction.
  const [rows = []] = await world.library.database.read([
    {
      sql: "SELECT DISTINCT mutation_id, transaction_id FROM sync_log WHERE mutation_id IS NOT NULL",
      args: [],
    },
  ]);
  expect(new Set(rows.map(([id]) => id)).size).toBe(rows.length);
  return due;
}

const seeds = (process.env["TRUST_SEEDS"] ?? "1,14,53").split(",").map(Number);
for (const seed of seeds) {
  test(`I5 I6 I7: clients converge after a lying network heals (seed ${seed})`, async () => {
    expect(await runSeed(seed)).toEqual(new Set());
  });
}
