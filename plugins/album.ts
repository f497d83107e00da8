/**
 * Albums: named, ordered sets of files that every device of a library shares.
 *
 * @module
 */
import { asc, desc, gt, lt } from "drizzle-orm";
import { index, integer, text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { definePlugin, defineQuery, defineResource, resourceTable } from "../src/index.ts";

export const albums = resourceTable(
  "albums",
  { name: text().notNull(), description: text(), coverId: text() },
  (table) => [index("albums_name").on(table.name)],
);

export const album = defineResource({
  type: "album",
  table: albums,
  input: v.object({
    name: v.pipe(v.string(), v.nonEmpty(), v.maxLength(200)),
    description: v.nullish(v.pipe(v.string(), v.maxLength(10_000))),
    coverId: v.nullish(v.pipe(v.string(), v.uuid())),
  }),
  sync: { domain: "metadata", conflict: "merge" },
});

export const albumItems = resourceTable(
  "album_items",
  { albumId: text().notNull(), fileId: text().notNull(), position: integer().notNull() },
  (table) => [index("album_items_album").on(table.albumId)],
);

export const albumItem = defineResource({
  type: "album_item",
  table: albumItems,
  input: v.object({
    albumId: v.pipe(v.string(), v.uuid()),
    fileId: v.pipe(v.string(), v.uuid()),
    position: v.pipe(v.number(), v.safeInteger()),
  }),
  sync: { domain: "metadata", after: ["album", "file"] },
});

export const albumPlugin = definePlugin({
  name: "album",
  resources: [album, albumItem],
  queries: {
    list: defineQuery({
      input: v.object({
        sort: v.optional(v.picklist(["name", "-name"]), "name"),
        limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000)), 100),
        /** The name of the last album of the page before. */
        after: v.optional(v.string()),
      }),
      returns: "album",
      ttl: 300,
      resolve: async ({ db }, { sort, limit, after }) => {
        const isRising = sort === "name";
        const beyond = isRising ? gt : lt;
        const rows = await db
          .select({ id: albums.id })
          .from(albums)
          .where(after === undefined ? undefined : beyond(albums.name, after))
          .orderBy((isRising ? asc : desc)(albums.name), asc(albums.id))
          .limit(limit);
        return rows.map((row) => row.id);
      },
      matches: () => true,
      compare: (left, right, { sort }) => {
        const order = String(left["name"]) < String(right["name"]) ? -1 : 1;
        return sort === "name" ? order : -order;
      },
    }),
  },
});
