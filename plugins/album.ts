/**
 * Albums: named, ordered sets of files that every device of a library shares.
 *
 * @module
 */
import { and, asc, desc, eq, gt, lt } from "drizzle-orm";
import { index, integer, text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import {
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
} from "../src/index.ts";
import type { Reader } from "../src/index.ts";
import { isBehind } from "./page.ts";
import { albumRules, itemIdOf, nextPosition, planMove } from "./rules/album.ts";
import type { ItemFields, ItemsInput } from "./rules/album.ts";

/** Ids of other records, as their own records hold them: in small letters. */
const uuid = v.pipe(v.string(), v.uuid(), v.toLowerCase());

const limit = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000));

export const albums = resourceTable(
  "albums",
  { name: text().notNull(), description: text(), coverId: text() },
  (table) => [index("albums_name").on(table.name)],
);

export const album = defineResource({
  type: "album",
  table: albums,
  input: v.strictObject({
    name: v.pipe(v.string(), v.nonEmpty(), v.maxLength(200)),
    description: v.nullish(v.pipe(v.string(), v.maxLength(10_000))),
    coverId: v.nullish(uuid),
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
  input: v.strictObject({
    albumId: uuid,
    fileId: uuid,
    position: v.pipe(v.number(), v.safeInteger()),
  }),
  sync: { domain: "metadata", after: ["album", "file"] },
});

const count = v.pipe(v.number(), v.integer());
const { queries: listRules, actions: twins } = albumRules;

/** All items of an album, unless a page of them is asked for. */
async function itemsOf(
  { db }: Reader,
  { albumId, limit = Number.MAX_SAFE_INTEGER, ...cursor }: ItemsInput,
): Promise<ItemFields[]> {
  const { id, position } = albumItems;
  return db
    .select({ id, albumId: albumItems.albumId, position })
    .from(albumItems)
    .where(and(eq(albumItems.albumId, albumId), isBehind([position, id], cursor)))
    .orderBy(asc(position), asc(id))
    .limit(limit);
}

export const albumPlugin = definePlugin({
  name: "album",
  resources: [album, albumItem],
  queries: {
    list: defineQuery({
      ...listRules["album.list"],
      input: v.strictObject({
        sort: v.optional(v.picklist(["name", "-name"]), "name"),
        limit: v.optional(limit, 100),
        after: v.optional(v.string()),
        afterId: v.optional(uuid),
      }),
      returns: "album",
      resolve: async ({ db }, { sort, limit: most, ...cursor }) => {
        const isRising = sort === "name";
        const rows = await db
          .select({ id: albums.id })
          .from(albums)
          .where(isBehind([albums.name, albums.id], cursor, isRising ? gt : lt))
          .orderBy((isRising ? asc : desc)(albums.name), asc(albums.id))
          .limit(most);
        return rows.map((row) => row.id);
      },
    }),
    items: defineQuery({
      ...listRules["album.items"],
      input: v.strictObject({
        albumId: uuid,
        limit: v.optional(limit, 10_000),
        after: v.optional(v.pipe(v.number(), v.safeInteger())),
        afterId: v.optional(uuid),
      }),
      returns: "album_item",
      scopes: ({ albumId }) => [albumId],
      related: { file: (item: { readonly fileId: string }) => item.fileId },
      resolve: async (reader, input) => (await itemsOf(reader, input)).map((item) => item.id),
    }),
  },
  actions: {
    add_files: defineAction({
      ...twins["album.add_files"],
      output: v.object({ added: count }),
      input: v.strictObject({
        albumId: uuid,
        fileIds: v.pipe(v.array(uuid), v.minLength(1), v.maxLength(1_000)),
      }),
      run: async (tx, { albumId, fileIds }) => {
        const first = nextPosition(await itemsOf(tx.reader, { albumId }));
        const asked = new Map(fileIds.map((fileId) => [itemIdOf(albumId, fileId), fileId]));
        for (const { id } of await tx.getMany("album_item", [...asked.keys()])) asked.delete(id);
        let added = 0;
        for (const [id, fileId] of asked) {
          const position = first + added * 1_024;
          await tx.insert("album_item", { id, album_id: albumId, file_id: fileId, position });
          added += 1;
        }
        return { added };
      },
    }),
    move_item: defineAction({
      ...twins["album.move_item"],
      output: v.object({ changed: count }),
      /** `afterId` is the item that will stand before it; none puts it first. */
      input: v.strictObject({ id: uuid, afterId: v.nullish(uuid) }),
      run: async (tx, { id, afterId }) => {
        const item = await tx.get("album_item", id);
        if (item === null) return { changed: 0 };
        const items = await itemsOf(tx.reader, { albumId: item["album_id"] as string });
        const changes = planMove(items, id, afterId ?? null);
        // All of an album may move: they are read at once.
        await tx.getMany(
          "album_item",
          changes.map(({ id: changed }) => changed),
        );
        for (const { id: changed, position } of changes) {
          await tx.update("album_item", changed, { position });
        }
        return { changed: changes.length };
      },
    }),
    delete: defineAction({
      ...twins["album.delete"],
      output: v.object({ deleted: count }),
      input: v.strictObject({ id: uuid }),
      run: async (tx, { id }) => {
        const ids = (await itemsOf(tx.reader, { albumId: id })).map((item) => item.id);
        const items = await tx.getMany("album_item", ids);
        for (const item of items) await tx.delete("album_item", item.id);
        if ((await tx.get("album", id)) !== null) await tx.delete("album", id);
        return { deleted: items.length + 1 };
      },
    }),
  },
});
