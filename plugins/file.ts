/**
 * Files: the index of what lies in the locations, and what people say about each file.
 *
 * @module
 */
import { and, asc, eq, gt, isNull, sql } from "drizzle-orm";
import { index, integer, text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import {
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
  SyncError,
} from "../src/index.ts";
import type { ActionTx, Reader } from "../src/index.ts";
import { isBehind } from "./page.ts";
import { extensionOf, fileRules, mergeUserMetadata } from "./rules/file.ts";

export const files = resourceTable(
  "files",
  {
    locationId: text().notNull(),
    parentId: text(),
    name: text().notNull(),
    extension: text(),
    size: integer().notNull(),
    mime: text(),
    modifiedAt: text(),
    contentId: text(),
  },
  (table) => [
    index("files_directory").on(table.locationId, table.parentId, table.name),
    index("files_parent").on(table.parentId),
  ],
);

/** Ids of other records, as their own records hold them: in small letters. */
const uuid = v.pipe(v.string(), v.uuid(), v.toLowerCase());
const count = v.pipe(v.number(), v.integer());
const name = v.pipe(v.string(), v.nonEmpty(), v.maxLength(255));
const upTo = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most));

export const file = defineResource({
  type: "file",
  table: files,
  input: v.strictObject({
    locationId: uuid,
    parentId: v.nullish(uuid),
    name,
    extension: v.nullish(v.pipe(v.string(), v.maxLength(64))),
    size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    mime: v.nullish(v.pipe(v.string(), v.maxLength(255))),
    /** RFC 3339. */
    modifiedAt: v.nullish(v.pipe(v.string(), v.isoTimestamp())),
    contentId: v.nullish(v.pipe(v.string(), v.maxLength(128))),
  }),
  sync: { domain: "index", after: ["location"] },
  // Every device browses the index of the others, so their bulks are fetched, not only noticed.
  onBulk: (_notice, { fetch }) => fetch(),
});

export const userMetadata = resourceTable("user_metadata", {
  fileId: text().notNull().unique(),
  favorite: integer({ mode: "boolean" }).notNull(),
  hidden: integer({ mode: "boolean" }).notNull(),
  notes: text(),
  custom: text({ mode: "json" }),
});

export const userMetadatum = defineResource({
  type: "user_metadata",
  table: userMetadata,
  input: v.strictObject({
    fileId: uuid,
    favorite: v.optional(v.boolean(), false),
    hidden: v.optional(v.boolean(), false),
    notes: v.nullish(v.pipe(v.string(), v.maxLength(100_000))),
    custom: v.nullish(v.record(v.string(), v.unknown())),
  }),
  sync: { domain: "metadata", after: ["file"], conflict: { merge: mergeUserMetadata } },
});

/** The ids of files and of all below them, children first, so that no record points at nothing. */
async function treeIds({ db }: Reader, roots: readonly string[]): Promise<string[]> {
  const below = sql`WITH RECURSIVE tree (id) AS (
    SELECT value FROM json_each(${JSON.stringify(roots)})
    UNION SELECT child.id FROM tree JOIN files AS child ON child.parent_id = tree.id)
    SELECT id FROM tree`;
  const rows = await db
    .select({ id: files.id, parentId: files.parentId })
    .from(files)
    .where(sql`${files.id} IN (${below})`);
  const known = new Set(rows.map(({ id }) => id));
  const children = Map.groupBy(rows, ({ parentId }) => parentId);
  const isTop = ({ parentId }: (typeof rows)[number]) => parentId === null || !known.has(parentId);
  const order = new Set(rows.filter(isTop).map(({ id }) => id));
  // What is added has its turn too: level by level.
  for (const id of order) for (const child of children.get(id) ?? []) order.add(child.id);
  // A circle has no top.
  for (const { id } of rows) order.add(id);
  return [...order].toReversed();
}

/** What says something about a file, by resource type: it goes with the file. Plugins know each other by name only. */
const attachments = {
  file_tag: "file_tags",
  album_item: "album_items",
  user_metadata: "user_metadata",
};

/** Deletes what is attached to the files. A service without one of the plugins has none of its records. */
async function deleteAttachments(tx: ActionTx, ids: readonly string[]): Promise<void> {
  const list = sql`(SELECT value FROM json_each(${JSON.stringify(ids)}))`;
  for (const [type, table] of Object.entries(attachments)) {
    const rows = await tx.reader.db.all<{ id: string } | [string]>(
      sql`SELECT id FROM ${sql.identifier(table)} WHERE file_id IN ${list}`,
    );
    const attached = await tx.getMany(
      type,
      rows.map((row) => (Array.isArray(row) ? row[0] : row.id)),
    );
    for (const { id } of attached) await tx.delete(type, id);
  }
}

async function deleteTrees(tx: ActionTx, roots: readonly string[]): Promise<number> {
  // Also what is attached to a file that was gone before.
  const ids = [...new Set([...(await treeIds(tx.reader, roots)), ...roots])];
  await deleteAttachments(tx, ids);
  const found = await tx.getMany("file", ids);
  for (const { id } of found) await tx.delete("file", id);
  return found.length;
}

/** Refuses a move that would put a directory below itself. */
async function assertNotBelow(tx: ActionTx, id: string, parentId: string | null): Promise<void> {
  for (let at = parentId; at !== null;) {
    if (at === id) {
      const message = "A directory cannot be moved into itself or below itself.";
      const issues = [{ path: "parent_id", message }];
      throw new SyncError("invalid_record", { issues }, { detail: message });
    }
    const parent = await tx.get("file", at);
    at = (parent?.["parent_id"] as string | null | undefined) ?? null;
  }
}

const { queries: listRules, actions: twins } = fileRules;

export const filePlugin = definePlugin({
  name: "file",
  resources: [file, userMetadatum],
  queries: {
    by_directory: defineQuery({
      ...listRules["file.by_directory"],
      input: v.strictObject({
        locationId: uuid,
        parentId: v.nullish(uuid),
        limit: v.optional(upTo(10_000), 100),
        after: v.optional(v.string()),
        afterId: v.optional(uuid),
      }),
      returns: "file",
      ttl: 60,
      scopes: ({ locationId }) => [locationId],
      resolve: async ({ db }, input) => {
        const { locationId, parentId, limit } = input;
        const rows = await db
          .select({ id: files.id })
          .from(files)
          .where(
            and(
              eq(files.locationId, locationId),
              typeof parentId === "string" ? eq(files.parentId, parentId) : isNull(files.parentId),
              isBehind([files.name, files.id], input),
            ),
          )
          .orderBy(asc(files.name), asc(files.id))
          .limit(limit);
        return rows.map((row) => row.id);
      },
    }),
    search: defineQuery({
      ...listRules["file.search"],
      input: v.strictObject({
        text: v.pipe(v.string(), v.nonEmpty(), v.maxLength(200)),
        limit: v.optional(upTo(1_000), 100),
      }),
      returns: "file",
      ttl: 60,
      resolve: async ({ db }, { text, limit }) => {
        const rows = await db
          .select({ id: files.id })
          .from(files)
          .where(sql`instr(lower(${files.name}), lower(${text})) > 0`)
          .orderBy(asc(files.name), asc(files.id))
          .limit(limit);
        return rows.map((row) => row.id);
      },
    }),
    with_tag: defineQuery({
      ...listRules["file.with_tag"],
      input: v.strictObject({
        tagId: uuid,
        limit: v.optional(upTo(10_000), 1_000),
        after: v.optional(v.string()),
        afterId: v.optional(uuid),
      }),
      returns: "file",
      ttl: 300,
      scopes: ({ tagId }) => [tagId],
      resolve: async ({ db }, input) => {
        const { tagId, limit } = input;
        // The link table belongs to the tag plugin; plugins know each other by name only.
        const rows = await db
          .select({ id: files.id })
          .from(files)
          .where(
            and(
              sql`${files.id} IN (SELECT file_id FROM file_tags WHERE tag_id = ${tagId})`,
              isBehind([files.name, files.id], input),
            ),
          )
          .orderBy(asc(files.name), asc(files.id))
          .limit(limit);
        return rows.map((row) => row.id);
      },
    }),
    metadata: defineQuery({
      ...listRules["file.metadata"],
      /** What people say about one file: one record, or none. */
      input: v.strictObject({ fileId: uuid }),
      returns: "user_metadata",
      resolve: async ({ db }, { fileId }) => {
        const rows = await db
          .select({ id: userMetadata.id })
          .from(userMetadata)
          .where(eq(userMetadata.fileId, fileId));
        return rows.map((row) => row.id);
      },
    }),
    favorites: defineQuery({
      ...listRules["file.favorites"],
      /** `after` is the id of the last record of the page before. */
      input: v.strictObject({ limit: v.optional(upTo(10_000), 1_000), after: v.optional(uuid) }),
      returns: "user_metadata",
      related: { file: (metadata: { readonly fileId: string }) => metadata.fileId },
      resolve: async ({ db }, { limit, after }) => {
        const rows = await db
          .select({ id: userMetadata.id })
          .from(userMetadata)
          .where(
            and(
              eq(userMetadata.favorite, true),
              after === undefined ? undefined : gt(userMetadata.id, after),
            ),
          )
          .orderBy(asc(userMetadata.id))
          .limit(limit);
        return rows.map((row) => row.id);
      },
    }),
  },
  actions: {
    rename: defineAction({
      ...twins["file.rename"],
      output: v.object({ id: uuid }),
      input: v.strictObject({ id: uuid, name }),
      run: async (tx, input) => {
        const fields = { name: input.name, extension: extensionOf(input.name) };
        await tx.update("file", input.id, fields);
        return { id: input.id };
      },
    }),
    move: defineAction({
      ...twins["file.move"],
      output: v.object({ moved: count }),
      input: v.strictObject({
        ids: v.pipe(v.array(uuid), v.minLength(1), v.maxLength(1_000)),
        parentId: v.nullable(uuid),
      }),
      run: async (tx, { ids, parentId }) => {
        for (const id of ids) {
          await assertNotBelow(tx, id, parentId);
          await tx.update("file", id, { parent_id: parentId });
        }
        return { moved: ids.length };
      },
    }),
    delete: defineAction({
      ...twins["file.delete"],
      output: v.object({ deleted: count }),
      input: v.strictObject({ ids: v.pipe(v.array(uuid), v.minLength(1), v.maxLength(1_000)) }),
      run: async (tx, { ids }) => ({ deleted: await deleteTrees(tx, ids) }),
    }),
    favorite: defineAction({
      ...twins["file.favorite"],
      output: v.object({ favorite: v.boolean() }),
      input: v.strictObject({ id: uuid, favorite: v.boolean() }),
      run: async (tx, { id, favorite }) => {
        const [known] = await tx.reader.db
          .select({ id: userMetadata.id })
          .from(userMetadata)
          .where(eq(userMetadata.fileId, id));
        const fields = { file_id: id, favorite, hidden: false };
        if (known === undefined) await tx.upsert("user_metadata", { id, ...fields });
        else await tx.update("user_metadata", known.id, { favorite });
        return { favorite };
      },
    }),
  },
});
