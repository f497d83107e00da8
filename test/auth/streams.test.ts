/** Who may listen: how many times, until when, and to what. */
import { expect, test } from "bun:test";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import { readFrames } from "../support/events.ts";
import { pagePlugin } from "../support/page-plugin.ts";
import { createWorld, tokenFor } from "../support/world.ts";
import type { World } from "../support/world.ts";

const open = (world: World, token: string, query = ""): Promise<Response> =>
  Promise.resolve(
    world.app.request(`${world.at}/events?encoding=json${query}`, {
      headers: { authorization: `Bearer ${token}` },
    }),
  );

test("a ticket of a token that was revoked meanwhile opens nothing", async () => {
  await using world = await createWorld();
  await world.insertAlbum("hidden");
  const headers = { authorization: `Bearer ${await tokenFor([{ library: "*", role: "reader" }])}` };
  const { ticket } = (await world.send("POST", `${world.at}/stream-tickets`, {}, headers)).body;
  await world.service.revocations.revoke({ kind: "subject", value: "tester" });
  const answer = await world.app.request(
    `${world.at}/events?encoding=json&after=0&ticket=${ticket}`,
  );
  expect(answer.status).toBe(401);
  await answer.body?.cancel();
});

test("one token holds as many streams as the limit says, and may come back when one ends", async () => {
  await using world = await createWorld({ limits: { streamsPerToken: 2 } });
  const token = await tokenFor([{ library: "*", role: "reader" }]);
  const streams = [await open(world, token), await open(world, token)];
  const third = await open(world, token);
  expect([third.status, third.headers.get("retry-after")]).toEqual([503, "5"]);
  const other = await open(world, await tokenFor([{ library: "*", role: "reader" }]));
  expect(other.status).toBe(200);
  await streams[0]?.body?.cancel();
  const again = await open(world, token);
  expect(again.status).toBe(200);
  for (const stream of [...streams.slice(1), other, again]) await stream.body?.cancel();
});

test("I8: a conflict is told only to streams that may see its type", async () => {
  await using world = await createWorld({ plugins: [...bundledPlugins, pagePlugin] });
  const id = createId();
  const change = (operation: string, data: object, more: object = {}) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type: "page",
      operation,
      id,
      data,
      ...more,
    });
  await change("insert", { title: "Iceland" });
  const { id: library } = world.library.state;
  const limited = await tokenFor([{ library, role: "reader", types: ["album"] }]);
  const streams = [
    await open(world, limited),
    await open(world, world.token, "&types=album"),
    await open(world, world.token),
  ];
  await change("update", { title: "Norway" });
  const late = await change("update", { body: "late" }, { expected_version: 1 });
  expect(late.status).toBe(409);
  await world.insertAlbum("the end");
  const heard = await Promise.all(
    streams.map(async (stream) => {
      let isTold = false;
      for await (const { event, id: position } of readFrames(stream)) {
        isTold ||= event === "ConflictDetected";
        if (position === "3") break;
      }
      return isTold;
    }),
  );
  expect(heard).toEqual([false, false, true]);
});
