/** A record that cannot be built when its event leaves: who shows it hears that it changed, and asks. */
import { expect, test } from "bun:test";
import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { createId } from "../../src/base/id.ts";
import { createClient } from "../../src/client/index.ts";
import { definePlugin, defineResource, resourceTable } from "../../src/index.ts";
import { createClientWorld, until } from "../support/client-world.ts";

/** Its resources are built one by one; two at once are too much. */
const poemPlugin = definePlugin({
  name: "poem",
  resources: [
    defineResource({
      type: "poem",
      table: resourceTable("poems", { title: text().notNull() }),
      input: v.object({ title: v.string() }),
      sync: { domain: "metadata" },
      build: async (rows) => {
        if (rows.length > 1) throw new Error("Only one at a time.");
        return rows.map(({ title }) => ({ title }));
      },
      view: v.object({ title: v.string() }),
    }),
  ],
  migrations: {
    "0001_poems": `CREATE TABLE poems (id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL,
      created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, origin_device_id TEXT NOT NULL,
      title TEXT NOT NULL)`,
  },
});

test("a batch names the records that could not be built", async () => {
  await using world = await createClientWorld({ plugins: [poemPlugin] });
  const ids = [createId(), createId()];
  const change = (operation: string, id: string, title: string) => ({
    resource_type: "poem",
    operation,
    id,
    data: { title },
  });
  for (const id of ids) await world.write(change("insert", id, "draft"));
  const client = createClient({
    url: "http://service",
    library: world.library.state.id,
    token: world.token,
    rules: { queries: {}, actions: {} },
    fetch: world.direct,
  });
  const poems = ids.map((id) => client.record("poem", id));
  for (const poem of poems) poem.subscribe(() => {});
  for (const poem of poems) await until(poem, ({ data }) => data?.["title"] === "draft");
  await world.send("POST", `${world.at}/batch`, {
    changes: ids.map((id) => change("update", id, "finished")),
  });
  for (const poem of poems) await until(poem, ({ data }) => data?.["title"] === "finished");
  expect(client.status.getSnapshot().cursor).toBe(4);
  await client.close();
});
