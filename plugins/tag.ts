/**
 * Tags, and which files carry them. A file carries a tag at most once: the link's id is theirs.
 *
 * @module
 */
import { and, asc, eq, gt } from "drizzle-orm";
import { index, text } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import {
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
} from "../src/index.ts";
import { isBehind } from "./page.ts";
import { linkIdOf, tagRules } from "./rules/tag.ts";

/** Ids of other records, as their own records hold them: in small letters. */
const uuid = z.guid().toLowerCase();
const limit = z.int().min(1).max(10_000);

export const tags = resourceTable("tags", { name: text().notNull(), color: text() });

export const tag = defineResource({
  type: "tag",
  table: tags,
  input: z.strictObject({
    name: z.string().min(1).max(100),
    color: z.string().max(32).nullish(),
  }),
  sync: { domain: "metadata", conflict: "last-write-wins" },
});

export const fileTags = resourceTable(
  "file_tags",
  { fileId: text().notNull(), tagId: text().notNull() },
  (table) => [index("file_tags_tag").on(table.tagId), index("file_tags_file").on(table.fileId)],
);

export const fileTag = defineResource({
  type: "file_tag",
  table: fileTags,
  input: z.strictObject({ fileId: uuid, tagId: uuid }),
  sync: { domain: "metadata", after: ["file", "tag"] },
});

const links = z.strictObject({ tagId: uuid, fileIds: z.array(uuid).min(1).max(1_000) });

const { queries: listRules, actions: twins } = tagRules;

export const tagPlugin = definePlugin({
  name: "tag",
  resources: [tag, fileTag],
  queries: {
    list: defineQuery({
      ...listRules["tag.list"],
      input: z.strictObject({
        limit: limit.default(1_000),
        after: z.string().optional(),
        afterId: uuid.optional(),
      }),
      returns: "tag",
      resolve: async ({ db }, input) => {
        const rows = await db
          .select({ id: tags.id })
          .from(tags)
          .where(isBehind([tags.name, tags.id], input))
          .orderBy(asc(tags.name), asc(tags.id))
          .limit(input.limit);
        return rows.map((row) => row.id);
      },
    }),
    links: defineQuery({
      ...listRules["tag.links"],
      /** The links of a file, of a tag, or all; `after` is the id of the last of the page before. */
      input: z.strictObject({
        fileId: uuid.optional(),
        tagId: uuid.optional(),
        limit: limit.default(10_000),
        after: uuid.optional(),
      }),
      returns: "file_tag",
      resolve: async ({ db }, { fileId, tagId, limit: most, after }) => {
        const rows = await db
          .select({ id: fileTags.id })
          .from(fileTags)
          .where(
            and(
              fileId === undefined ? undefined : eq(fileTags.fileId, fileId),
              tagId === undefined ? undefined : eq(fileTags.tagId, tagId),
              after === undefined ? undefined : gt(fileTags.id, after),
            ),
          )
          .orderBy(asc(fileTags.id))
          .limit(most);
        return rows.map((row) => row.id);
      },
    }),
  },
  actions: {
    apply: defineAction({
      ...twins["tag.apply"],
      output: z.object({ applied: z.int() }),
      input: links,
      run: async (tx, { tagId, fileIds }) => {
        for (const fileId of fileIds) {
          await tx.upsert("file_tag", {
            id: linkIdOf(tagId, fileId),
            file_id: fileId,
            tag_id: tagId,
          });
        }
        return { applied: fileIds.length };
      },
    }),
    remove: defineAction({
      ...twins["tag.remove"],
      output: z.object({ removed: z.int() }),
      input: links,
      run: async (tx, { tagId, fileIds }) => {
        const ids = fileIds.map((fileId) => linkIdOf(tagId, fileId));
        const found = await tx.getMany("file_tag", [...new Set(ids)]);
        for (const { id } of found) await tx.delete("file_tag", id);
        return { removed: found.length };
      },
    }),
    delete: defineAction({
      ...twins["tag.delete"],
      output: z.object({ deleted: z.int() }),
      input: z.strictObject({ id: uuid }),
      run: async (tx, { id }) => {
        const rows = await tx.reader.db
          .select({ id: fileTags.id })
          .from(fileTags)
          .where(eq(fileTags.tagId, id));
        const found = await tx.getMany(
          "file_tag",
          rows.map((row) => row.id),
        );
        for (const link of found) await tx.delete("file_tag", link.id);
        if ((await tx.get("tag", id)) !== null) await tx.delete("tag", id);
        return { deleted: found.length + 1 };
      },
    }),
  },
});
