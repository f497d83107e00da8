/**
 * Tags, and which files carry them. A file carries a tag at most once: the link's id is theirs.
 *
 * @module
 */
import { asc } from "drizzle-orm";
import { index, text } from "drizzle-orm/sqlite-core";
import { v5 } from "uuid";
import { z } from "zod";
import {
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
} from "../src/index.ts";

export const tags = resourceTable("tags", { name: text().notNull(), color: text() });

export const tag = defineResource({
  type: "tag",
  table: tags,
  input: z.object({
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
  input: z.object({ fileId: z.uuid(), tagId: z.uuid() }),
  sync: { domain: "metadata", after: ["file", "tag"] },
});

/** The id of the link between a tag and a file: the same on every device, so that two become one. */
function linkId(tagId: string, fileId: string): string {
  return v5(fileId, tagId);
}

const links = z.object({ tagId: z.uuid(), fileIds: z.array(z.uuid()).min(1).max(1_000) });

export const tagPlugin = definePlugin({
  name: "tag",
  resources: [tag, fileTag],
  queries: {
    list: defineQuery({
      input: z.object({}),
      returns: "tag",
      ttl: 300,
      resolve: async ({ db }) => {
        const rows = await db
          .select({ id: tags.id })
          .from(tags)
          .orderBy(asc(tags.name), asc(tags.id))
          .limit(1_000);
        return rows.map((row) => row.id);
      },
      matches: () => true,
      compare: (left, right) => (String(left["name"]) < String(right["name"]) ? -1 : 1),
    }),
  },
  actions: {
    apply: defineAction({
      input: links,
      run: async (tx, { tagId, fileIds }) => {
        for (const fileId of fileIds) {
          await tx.upsert("file_tag", {
            id: linkId(tagId, fileId),
            file_id: fileId,
            tag_id: tagId,
          });
        }
        return { applied: fileIds.length };
      },
    }),
    remove: defineAction({
      input: links,
      run: async (tx, { tagId, fileIds }) => {
        let removed = 0;
        for (const fileId of fileIds) {
          const id = linkId(tagId, fileId);
          if ((await tx.get("file_tag", id)) === null) continue;
          await tx.delete("file_tag", id);
          removed += 1;
        }
        return { removed };
      },
    }),
  },
});
