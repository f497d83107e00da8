/**
 * What a client knows about files without asking.
 *
 * @module
 */
import { compareText, foldCase, isAfter } from "../../src/resource/rules.ts";
import type { ClientRules, Draft, DraftRecord, TextCursor } from "../../src/resource/rules.ts";

export interface FileFields {
  readonly id: string;
  readonly locationId: string;
  readonly parentId: string | null;
  readonly name: string;
}

export interface DirectoryInput extends TextCursor {
  readonly locationId: string;
  readonly parentId?: string | null | undefined;
  readonly limit?: number | undefined;
}

export interface MetadataFields {
  readonly id: string;
  readonly fileId: string;
  readonly favorite: boolean;
}

export interface FavoritesInput {
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}

const byName = (left: FileFields, right: FileFields) => compareText(left.name, right.name);

/** What stands behind the last dot, unless the name begins with it. */
export function extensionOf(name: string): string | null {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1).slice(0, 64) : null;
}

/** The records and all that lie below them, as far as the client holds them. */
function withDescendants(draft: Draft, ids: readonly string[]): Set<string> {
  const children = new Map<string, string[]>();
  for (const { id, parentId } of draft.all("file") as Iterable<DraftRecord & FileFields>) {
    if (parentId === null) continue;
    const siblings = children.get(parentId);
    if (siblings === undefined) children.set(parentId, [id]);
    else siblings.push(id);
  }
  const found = new Set(ids);
  for (const id of found) for (const child of children.get(id) ?? []) found.add(child);
  return found;
}

export const fileRules = {
  queries: {
    "file.by_directory": {
      returns: "file",
      partition: ["locationId", "parentId"],
      matches: (file: FileFields, input: DirectoryInput) =>
        file.locationId === input.locationId &&
        file.parentId === (input.parentId ?? null) &&
        isAfter({ id: file.id, text: file.name }, input),
      compare: byName,
      limit: ({ limit }: DirectoryInput) => limit ?? 100,
    },
    "file.search": {
      returns: "file",
      matches: ({ name }: FileFields, { text }: { readonly text: string }) =>
        foldCase(name).includes(foldCase(text)),
      compare: byName,
      limit: ({ limit }: { readonly limit?: number | undefined }) => limit ?? 100,
    },
    // A file does not know its tags: a changed link makes the list stale, a renamed file does not.
    "file.with_tag": {
      returns: "file",
      dependsOn: ["file_tag"],
      limit: ({ limit }: { readonly limit?: number | undefined }) => limit ?? 1_000,
    },
    "file.metadata": {
      returns: "user_metadata",
      partition: ["fileId"],
      matches: (said: MetadataFields, { fileId }: { readonly fileId: string }) =>
        said.fileId === fileId,
      compare: () => 0,
    },
    "file.favorites": {
      returns: "user_metadata",
      matches: ({ id, favorite }: MetadataFields, { after }: FavoritesInput) =>
        favorite && (after === undefined || id > after),
      // Equal records are ordered by id.
      compare: () => 0,
      limit: ({ limit }: FavoritesInput) => limit ?? 1_000,
    },
  },
  actions: {
    "file.rename": {
      optimistic: (draft: Draft, { id, name }: { readonly id: string; readonly name: string }) => {
        if (draft.get("file", id) === null) return;
        draft.update("file", id, { name, extension: extensionOf(name) });
      },
    },
    "file.move": {
      optimistic: (
        draft: Draft,
        input: { readonly ids: readonly string[]; readonly parentId: string | null },
      ) => {
        for (const id of input.ids) {
          if (draft.get("file", id) === null) continue;
          draft.update("file", id, { parentId: input.parentId });
        }
      },
    },
    "file.delete": {
      optimistic: (draft: Draft, { ids }: { readonly ids: readonly string[] }) => {
        const gone = withDescendants(draft, ids);
        for (const type of ["file_tag", "album_item", "user_metadata"]) {
          for (const record of Array.from(draft.all(type))) {
            if (gone.has(String(record["fileId"]))) draft.delete(type, record.id);
          }
        }
        for (const id of gone) draft.delete("file", id);
      },
    },
    "file.favorite": {
      optimistic: (
        draft: Draft,
        { id, favorite }: { readonly id: string; readonly favorite: boolean },
      ) => {
        const known = Array.from(draft.all("user_metadata")).find((one) => one["fileId"] === id);
        if (known !== undefined) draft.update("user_metadata", known.id, { favorite });
        else {
          const fields = { fileId: id, favorite, hidden: false, notes: null, custom: null };
          draft.insert("user_metadata", { id, ...fields });
        }
      },
    },
  },
} satisfies ClientRules;

/** What people say of a file, as far as both may have changed it in ways that can be joined. */
interface Said {
  readonly notes: string | null;
  readonly custom: unknown;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const ownValue = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

const isSame = (left: unknown, right: unknown): boolean =>
  JSON.stringify(left ?? null) === JSON.stringify(right ?? null);

/** Both texts one below the other, unless one has the other in it: so twice is the same as once. */
function joinNotes(current: string | null, late: string | null): string | null {
  if (current === null || current === "") return late;
  if (late === null || late === "" || current.includes(late)) return current;
  return late.includes(current) ? late : `${current}\n\n${late}`;
}

/** Key by key: what only one changed is as that one left it; where both did, the late one's stands. */
function joinValues(base: unknown, current: unknown, late: unknown): unknown {
  if (isSame(late, base)) return current;
  if (isSame(current, base) || !isObject(current) || !isObject(late)) return late;
  const keys = new Set([...Object.keys(current), ...Object.keys(late)]);
  const joined = [...keys].map((key) => {
    const [was, is, made] = [base, current, late].map((side) => ownValue(side, key));
    return [key, joinValues(was, is, made)] as const;
  });
  return Object.fromEntries(joined.filter(([, value]) => value !== undefined));
}

/** Notes that both wrote stand one below the other, `custom` is joined key by key (CONF-11). */
export function mergeUserMetadata(base: Said, current: Said, late: Said): Partial<Said> {
  const isDivided = ![current, late].some((side) => isSame(side.notes, base.notes));
  return {
    ...(isDivided ? { notes: joinNotes(current.notes, late.notes) } : {}),
    custom: joinValues(base.custom, current.custom, late.custom) ?? null,
  };
}
