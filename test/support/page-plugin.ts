import { text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { definePlugin, defineResource, resourceTable } from "../../src/index.ts";

/** A resource whose late changes a person decides. */
export const pagePlugin = definePlugin({
  name: "page",
  resources: [
    defineResource({
      type: "page",
      table: resourceTable("pages", { title: text().notNull(), body: text() }),
      input: v.object({ title: v.pipe(v.string(), v.nonEmpty()), body: v.nullish(v.string()) }),
      sync: { domain: "metadata", conflict: "manual" },
    }),
  ],
  migrations: {
    "0001_pages": `CREATE TABLE pages (id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL,
      created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, origin_device_id TEXT NOT NULL,
      title TEXT NOT NULL, body TEXT)`,
  },
});
