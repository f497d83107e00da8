/** A plugin as somebody writes it who has the package from npm, with a validator of their own choice. */
import { asc } from "drizzle-orm";
import { integer, text } from "drizzle-orm/sqlite-core";
import {
  SyncError,
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
} from "syncline";
import * as z from "zod";

export const notes = resourceTable("notes", {
  title: text().notNull(),
  done: integer({ mode: "boolean" }).notNull(),
});

export const note = defineResource({
  type: "note",
  table: notes,
  input: z.strictObject({ title: z.string().min(1), done: z.boolean().default(false) }),
  sync: { domain: "metadata", conflict: "merge" },
});

export const notePlugin = definePlugin({
  name: "note",
  resources: [note],
  queries: {
    list: defineQuery({
      input: z.strictObject({}),
      returns: "note",
      resolve: async ({ db }) =>
        (await db.select({ id: notes.id }).from(notes).orderBy(asc(notes.title))).map(
          ({ id }) => id,
        ),
    }),
  },
  actions: {
    finish: defineAction({
      input: z.strictObject({ id: z.string() }),
      run: async (tx, { id }) => {
        if ((await tx.get("note", id)) === null) throw new SyncError("not_found", { what: id });
        await tx.update("note", id, { done: true });
        return { finished: 1 };
      },
    }),
  },
  migrations: {
    "0001_notes": `CREATE TABLE notes (id text PRIMARY KEY NOT NULL, version integer NOT NULL, created_at integer NOT NULL,
      updated_at integer NOT NULL, origin_device_id text NOT NULL, title text NOT NULL, done integer NOT NULL)`,
  },
});

export const plugins = [notePlugin] as const;
