import { asc } from "drizzle-orm";
import { integer, text } from "drizzle-orm/sqlite-core";
import { definePlugin, defineQuery, defineResource, resourceTable } from "syncline";
import * as v from "valibot";
import { rules } from "./rules.ts";

const notes = resourceTable("notes", {
  title: text().notNull(),
  done: integer({ mode: "boolean" }).notNull(),
});

const note = defineResource({
  type: "note",
  table: notes,
  input: v.strictObject({
    title: v.pipe(v.string(), v.nonEmpty()),
    done: v.optional(v.boolean(), false),
  }),
  sync: { domain: "metadata", conflict: "merge" },
});

const notePlugin = definePlugin({
  name: "note",
  resources: [note],
  queries: {
    list: defineQuery({
      ...rules.queries["note.list"],
      returns: "note",
      input: v.strictObject({}),
      resolve: async ({ db }) => {
        const rows = db
          .select({ id: notes.id })
          .from(notes)
          .orderBy(asc(notes.title), asc(notes.id));
        return (await rows).map(({ id }) => id);
      },
    }),
  },
  migrations: {
    "0001_notes": `CREATE TABLE notes (id text PRIMARY KEY NOT NULL, version integer NOT NULL,
      created_at integer NOT NULL, updated_at integer NOT NULL, origin_device_id text NOT NULL,
      title text NOT NULL, done integer NOT NULL)`,
  },
});

export const plugins = [notePlugin] as const;
export { routes } from "./routes.ts";
