/** A node that stops, or closes a library, under a request: whoever it cannot answer is to ask again. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";
import type { WorldOptions } from "../support/world.ts";

/** A world where something may happen just before, or just after, the list of libraries is read. */
async function createWatched() {
  const around: { before?: () => Promise<void>; after?: () => Promise<void> } = {};
  const take = (when: keyof typeof around): Promise<void> | undefined => {
    const happens = around[when];
    delete around[when];
    return happens?.();
  };
  const decorate: WorldOptions["decorate"] = (name, database) => {
    if (name !== "catalog") return database;
    const read: typeof database.read = async (statements) => {
      await take("before");
      const rows = await database.read(statements);
      await take("after");
      return rows;
    };
    return { ...database, read };
  };
  const world = await createWorld({ decorate });
  await world.service.catalog.release(world.library.state.id);
  return { world, around };
}

test("a request that meets a node which has just stopped is told to come back", async () => {
  const { world, around } = await createWatched();
  await using _ = world;
  around.before = () => world.service.stop();
  const { status, body } = await world.insertAlbum("x");
  expect([status, body.code, body.retry]).toEqual([503, "database_unavailable", "later"]);
});

test("a node that stops opens no library any more, so that no lease is left behind", async () => {
  const { world, around } = await createWatched();
  await using _ = world;
  around.after = () => world.service.stop();
  const { status, body } = await world.insertAlbum("x");
  expect([status, body.code, body.retry]).toEqual([503, "overloaded", "later"]);
  expect(world.service.catalog.openCount).toBe(0);
});

test("a library that is closed under a request is opened again by the next", async () => {
  await using world = await createWorld();
  const { database } = world.library;
  await world.service.catalog.release(world.library.state.id);
  const late = database.read([{ sql: "SELECT 1", args: [] }]);
  await expect(late).rejects.toMatchObject({ code: "database_unavailable" });
  expect((await world.insertAlbum("x")).status).toBe(200);
});

test("a bulk whose node stops under it is told to come back", async () => {
  await using world = await createWorld();
  const [token, first, second] = [createId(), createId(), createId()];
  const line = (id: string) => new TextEncoder().encode(`${JSON.stringify({ id, name: "x" })}\n`);
  const rest = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: async (controller) => {
      controller.enqueue(line(first));
      await rest.promise;
      controller.enqueue(line(second));
      controller.close();
    },
  });
  const path = `${world.at}/bulk?resource_type=tag&mode=insert&token=${token}`;
  const headers = {
    authorization: `Bearer ${world.token}`,
    "content-type": "application/x-ndjson",
  };
  const answer = world.app.request(path, { method: "POST", headers, body });
  while ((await world.send("GET", `${world.at}/bulk/${token}`)).body.state !== "running")
    await Bun.sleep(1);
  await world.service.stop();
  rest.resolve();
  const response = await answer;
  const { code } = (await response.json()) as { code: string };
  expect([response.status, code, response.headers.get("retry-after")]).toEqual([
    503,
    "overloaded",
    "1",
  ]);
});
