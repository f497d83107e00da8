/**
 * What the registry's type tells clients. `tsc` is the judge: `isSame` takes `true` only where two
 * types are the same, and each `@ts-expect-error` must have its error.
 */
import { expect, test } from "bun:test";
import { integer, text } from "drizzle-orm/sqlite-core";
import * as v from "valibot";
import { z } from "zod";
import { bundledPlugins } from "../../plugins/index.ts";
import { clientRules } from "../../plugins/rules/index.ts";
import {
  createRegistry,
  defineAction,
  definePlugin,
  defineQuery,
  defineResource,
  resourceTable,
} from "../../src/index.ts";
import type {
  ActionInput,
  ActionName,
  ActionOutput,
  InsertInput,
  QueryInput,
  QueryName,
  QueryResult,
  RecordOf,
  Registry,
  RulesOf,
  TypeName,
  UpdateInput,
} from "../../src/index.ts";

// oxlint-disable typescript/no-unnecessary-type-parameters -- Only so does `tsc` compare two types.
type Same<Left, Right> =
  (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false;
const isSame = <Left, Right>(verdict: Same<Left, Right>): void => {
  if (!verdict) throw new Error("The types differ.");
};
// oxlint-enable typescript/no-unnecessary-type-parameters
type Plain<T> = { [Key in keyof T]: T[Key] };

const note = defineResource({
  type: "note",
  table: resourceTable("notes", {
    title: text().notNull(),
    labels: text({ mode: "json" }).$type<string[]>(),
    isPinned: integer({ mode: "boolean" }).notNull(),
    secretKey: text(),
  }),
  input: z.object({ title: z.string(), labels: z.array(z.string()).nullish() }),
  sync: { domain: "metadata", exclude: ["secretKey"] },
});
const board = defineResource({
  type: "board",
  table: resourceTable("boards", { title: text().notNull(), hidden: text() }),
  input: v.object({ title: v.string() }),
  sync: { domain: "metadata", include: ["title"] },
});
const joined = defineResource({
  type: "joined",
  table: resourceTable("joined", { title: text().notNull() }),
  input: v.object({ title: v.string() }),
  sync: { domain: "metadata" },
  build: async (rows) => rows.map(({ title }) => ({ title, noteCount: title.length })),
});
const draft = defineResource({
  type: "draft",
  table: resourceTable("drafts", { title: text().notNull() }),
  input: v.object({ title: v.string() }),
  sync: { domain: "state" },
});
const notePlugin = definePlugin({
  name: "note",
  resources: [note, board, joined, draft],
  queries: {
    titled: defineQuery({
      input: v.object({ title: v.string(), limit: v.optional(v.number(), 10) }),
      returns: "note",
      resolve: async (_reader, { title, limit }) => [title.repeat(limit)],
    }),
    counts: defineQuery({
      input: v.object({}),
      returns: null,
      resolve: async () => [{ title: "a", count: 1 }],
    }),
  },
  actions: {
    pin: defineAction({
      input: v.object({ id: v.string(), isPinned: v.optional(v.boolean(), true) }),
      run: async (_tx, { id }) => ({ pinned: id }),
    }),
  },
});
const registry = createRegistry([notePlugin, ...bundledPlugins]);
type App = typeof registry;

test("records have the fields that travel, and no other", () => {
  type Note = {
    readonly id: string;
    readonly version: number;
    readonly title: string;
    readonly labels: string[] | null;
    readonly isPinned: boolean;
  };
  isSame<RecordOf<App, "note">, Note>(true);
  isSame<keyof RecordOf<App, "board">, "id" | "version" | "title">(true);
  isSame<RecordOf<App, "joined">["noteCount"], number>(true);
  isSame<RecordOf<App, "album">["coverId"], string | null>(true);
  isSame<RecordOf<App, "user_metadata">["favorite"], boolean>(true);
  // @ts-expect-error -- Excluded (I8).
  type Secret = RecordOf<App, "note">["secretKey"];
  // @ts-expect-error -- Bookkeeping stays on the node.
  type Created = RecordOf<App, "note">["createdAt"];
  expect<[Secret?, Created?]>([]).toEqual([]);
});

test("names are known, and a type of domain state is none", () => {
  isSame<Extract<TypeName<App>, "draft">, never>(true);
  isSame<Extract<TypeName<App>, "file_tag" | "note">, "file_tag" | "note">(true);
  isSame<Extract<QueryName<App>, `note.${string}`>, "note.titled" | "note.counts">(true);
  isSame<Extract<ActionName<App>, `tag.${string}`>, "tag.apply" | "tag.remove" | "tag.delete">(
    true,
  );
});

test("inputs are what a caller gives, answers what the service makes of them", () => {
  isSame<Plain<QueryInput<App, "note.titled">>, { title: string; limit?: number | undefined }>(
    true,
  );
  isSame<QueryResult<App, "note.titled">, readonly RecordOf<App, "note">[]>(true);
  isSame<QueryResult<App, "note.counts">, readonly { title: string; count: number }[]>(true);
  isSame<ActionOutput<App, "note.pin">, { pinned: string }>(true);
  isSame<ActionOutput<App, "tag.apply">, { applied: number }>(true);
  const pin: ActionInput<App, "note.pin"> = { id: "a" };
  // @ts-expect-error -- The id is missing.
  const unpinned: ActionInput<App, "note.pin"> = { isPinned: true };
  const insert: InsertInput<App, "note"> = { title: "a" };
  const update: UpdateInput<App, "note"> = { labels: ["x"] };
  // @ts-expect-error -- A title is text.
  const wrong: UpdateInput<App, "note"> = { title: 1 };
  expect([pin, unpinned, insert, update, wrong].length).toBe(5);
});

test("the bundled rules read only what the bundled records and inputs have", () => {
  const fitting: RulesOf<App> = clientRules;
  const byTitle = {
    returns: "album",
    matches: (record: { title: string }) => record.title !== "",
  };
  // @ts-expect-error -- Albums have no title.
  const misfit: RulesOf<App> = { queries: { "album.list": byTitle }, actions: {} };
  expect([fitting, misfit].length).toBe(2);
});

test("a registry of unknown type is loose, not wrong", () => {
  isSame<QueryName<Registry>, string>(true);
  isSame<RecordOf<Registry, string>["anything"], unknown>(true);
});

test("a mistyped field of sync does not compile", () => {
  const wrong = () =>
    defineResource({
      type: "wrong",
      table: resourceTable("wrong", { title: text() }),
      input: v.object({}),
      // @ts-expect-error -- There is no such column.
      sync: { domain: "metadata", exclude: ["titel"] },
    });
  expect(typeof wrong).toBe("function");
});

test("an input that the table cannot store, or whose field it has not, does not compile", () => {
  const shelf = {
    type: "shelf",
    table: resourceTable("shelves", {
      title: text().notNull(),
      rank: integer(),
      tags: text({ mode: "json" }).$type<readonly string[]>(),
      rest: text({ mode: "json" }),
      isOpen: integer({ mode: "boolean" }).notNull(),
    }),
    sync: { domain: "metadata" },
  } as const;
  const right = () => [
    defineResource({
      ...shelf,
      input: v.looseObject({
        title: v.string(),
        rank: v.nullish(v.number()),
        tags: v.nullish(v.array(v.string())),
        rest: v.nullish(v.record(v.string(), v.unknown())),
        isOpen: v.optional(v.boolean(), false),
      }),
    }),
    defineResource({
      ...shelf,
      input: z.strictObject({ title: z.string().optional(), rank: z.number().nullish() }),
    }),
  ];
  const wrong = () => [
    // @ts-expect-error -- There is no such column: what is written there would be lost.
    defineResource({ ...shelf, input: v.strictObject({ titel: v.string() }) }),
    // @ts-expect-error -- Nor here, in zod.
    defineResource({ ...shelf, input: z.strictObject({ titel: z.string().optional() }) }),
    // @ts-expect-error -- A title is a text.
    defineResource({ ...shelf, input: v.strictObject({ title: v.number() }) }),
    // @ts-expect-error -- A column of numbers holds no dates.
    defineResource({ ...shelf, input: v.strictObject({ rank: v.date() }) }),
  ];
  expect([right, wrong].map((one) => typeof one)).toEqual(["function", "function"]);
});

test("a merge of its own sees the resource's records, and answers fields of them", () => {
  const shelf = {
    type: "shelf",
    table: resourceTable("shelves", { title: text().notNull(), rank: integer() }),
    input: v.object({ title: v.string(), rank: v.nullish(v.number()) }),
  } as const;
  const right = () =>
    defineResource({
      ...shelf,
      sync: {
        domain: "metadata",
        conflict: {
          merge: (base, current, late) => {
            isSame<(typeof late)["rank"], number | null>(true);
            return { title: `${base.title} ${current.title}`, rank: late.rank };
          },
        },
      },
    });
  const wrong = () =>
    defineResource({
      ...shelf,
      // @ts-expect-error -- A rank is a number.
      sync: { domain: "metadata", conflict: { merge: (base) => ({ rank: base.title }) } },
    });
  expect([right, wrong].map((one) => typeof one)).toEqual(["function", "function"]);
});

test("a view or an output of another type than its function makes does not compile", () => {
  const wrongView = () =>
    defineResource({
      type: "shelf",
      table: resourceTable("shelves", { title: text().notNull() }),
      input: v.object({ title: v.string() }),
      sync: { domain: "metadata" },
      view: v.object({ title: v.number() }),
      // @ts-expect-error -- A title is a text.
      build: async (rows) => rows.map(({ title }) => ({ title })),
    });
  const wrongOutput = () =>
    defineAction({
      input: v.object({}),
      output: v.object({ deleted: v.number() }),
      // @ts-expect-error -- It answers a text.
      run: async () => ({ deleted: "1" }),
    });
  expect([wrongView, wrongOutput].map((one) => typeof one)).toEqual(["function", "function"]);
});

test("a view or an output that promises more than its function makes does not compile", () => {
  const shelf = {
    type: "shelf",
    table: resourceTable("shelves", { title: text().notNull() }),
    input: v.object({ title: v.string() }),
    sync: { domain: "metadata" },
  } as const;
  const wrong = [
    () =>
      defineResource({
        ...shelf,
        view: v.object({ title: v.string(), bookCount: v.number() }),
        // @ts-expect-error -- Nobody counts the books.
        build: async (rows) => rows.map(({ title }) => ({ title })),
      }),
    () =>
      defineResource({
        ...shelf,
        view: z.object({ title: z.string(), book: z.object({ count: z.number() }) }),
        // @ts-expect-error -- Nor here, in zod.
        toResource: ({ title }) => ({ title, book: {} }),
      }),
    () =>
      defineAction({
        input: v.object({}),
        output: v.object({ deleted: v.number(), left: v.number() }),
        // @ts-expect-error -- It does not say how many are left.
        run: async () => ({ deleted: 1 }),
      }),
    () =>
      defineAction({
        input: v.object({ id: v.string() }),
        output: v.object({ id: v.string() }),
        // @ts-expect-error -- It answers nothing.
        run: async (_tx, { id }) => void id,
      }),
  ];
  const books: readonly string[] = [];
  const right = [
    () =>
      defineResource({
        ...shelf,
        view: v.object({
          title: v.string(),
          books: v.array(v.string()),
          note: v.optional(v.string()),
        }),
        build: async (rows) => rows.map(({ title }) => ({ title, books, shown: true })),
      }),
    () =>
      defineAction({
        input: v.object({}),
        output: z.object({ deleted: z.number(), more: z.unknown() }),
        run: async () => ({ deleted: 1, more: books as unknown, kept: 2 }),
      }),
  ];
  expect([...wrong, ...right].map((one) => typeof one)).toEqual(Array(6).fill("function"));
});
