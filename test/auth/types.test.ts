/** What a token may that is limited to some types: nothing of the others, on whatever way (I8). */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import { definePlugin, defineQuery } from "../../src/index.ts";
import { createPair } from "../support/pair.ts";
import { createWorld, tokenFor } from "../support/world.ts";

const forbidden = { status: 403, body: { code: "forbidden", reason: "type_not_granted" } };

async function limited(libraryId: string, types: readonly string[]) {
  const token = await tokenFor([{ library: libraryId, role: "writer", types }]);
  return { authorization: `Bearer ${token}` };
}

test("an action writes only types that the token may write, on a leader and through a replica", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await follower.settle();
  const { leader, phone, at, libraryId } = pair;
  const input = { tag_id: createId(), file_ids: [createId()] };
  const tags = await limited(libraryId, ["tag"]);
  const links = await limited(libraryId, ["tag", "file_tag"]);
  const ask = (world: typeof leader, headers: Record<string, string>) =>
    world.send("POST", `${at}/actions/tag.apply`, { input }, headers);
  const line = (world: typeof leader) =>
    world.send(
      "POST",
      `${at}/mutations`,
      { mutations: [{ mutation_id: createId(), action: "tag.apply", input }] },
      tags,
    );
  for (const world of [leader, phone]) {
    expect(await ask(world, tags)).toMatchObject(forbidden);
    expect((await line(world)).body.answers[0].problem.code).toBe("forbidden");
    const resolved = await world.send(
      "POST",
      `${at}/conflicts/${createId()}/resolve`,
      { choice: "local" },
      tags,
    );
    expect(resolved.status).toBe(world === phone ? 403 : 404);
  }
  expect(await leader.count("SELECT count(*) FROM sync_log")).toBe(0);
  expect((await ask(leader, links)).status).toBe(200);
});

test("a query of plain values is answered to whoever may read all that it says it reads", async () => {
  const count = (dependsOn?: readonly string[]) =>
    defineQuery({
      input: v.strictObject({}),
      returns: null,
      resolve: () => Promise.resolve([1]),
      ...(dependsOn === undefined ? {} : { dependsOn }),
    });
  const counts = definePlugin({
    name: "count",
    resources: [],
    queries: { tags: count(["tag"]), both: count(["tag", "album"]), any: count() },
  });
  await using world = await createWorld({ plugins: [...bundledPlugins, counts] });
  const headers = await limited(world.library.state.id, ["tag"]);
  const ask = async (name: string, more: Record<string, string> = headers) =>
    (await world.send("POST", `${world.at}/query/count.${name}`, {}, more)).status;
  expect([await ask("tags"), await ask("both"), await ask("any")]).toEqual([200, 403, 403]);
  expect([await ask("both", {}), await ask("any", {})]).toEqual([200, 200]);
});
