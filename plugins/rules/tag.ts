/**
 * What a client knows about tags without asking.
 *
 * @module
 */
import { compareText, isAfter } from "../../src/resource/rules.ts";
import type { ClientRules, Draft, TextCursor } from "../../src/resource/rules.ts";
import { linkId } from "./link.ts";

export interface TagFields {
  readonly id: string;
  readonly name: string;
}

export interface TagListInput extends TextCursor {
  readonly limit?: number | undefined;
}

export interface LinkFields {
  readonly id: string;
  readonly fileId: string;
  readonly tagId: string;
}

export interface LinksInput {
  readonly tagId: string;
  readonly fileIds: readonly string[];
}

export interface LinkListInput {
  readonly fileId?: string | undefined;
  readonly tagId?: string | undefined;
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}

/** The id of the link between a tag and a file: the same on every device, so that two become one. */
export function linkIdOf(tagId: string, fileId: string): string {
  return linkId(tagId, fileId);
}

/** Equal records are ordered by id, so this order is that of ids alone. */
const byId = () => 0;

export const tagRules = {
  queries: {
    "tag.list": {
      returns: "tag",
      matches: ({ id, name }: TagFields, input: TagListInput) => isAfter({ id, text: name }, input),
      compare: (left: TagFields, right: TagFields) => compareText(left.name, right.name),
      limit: ({ limit }: TagListInput) => limit ?? 1_000,
    },
    "tag.links": {
      returns: "file_tag",
      matches: (link: LinkFields, { fileId, tagId, after }: LinkListInput) =>
        (fileId === undefined || link.fileId === fileId) &&
        (tagId === undefined || link.tagId === tagId) &&
        (after === undefined || link.id > after),
      compare: byId,
      limit: ({ limit }: LinkListInput) => limit ?? 10_000,
    },
  },
  actions: {
    "tag.apply": {
      optimistic: (draft: Draft, { tagId, fileIds }: LinksInput) => {
        for (const fileId of fileIds) {
          const id = linkIdOf(tagId, fileId);
          if (draft.get("file_tag", id) === null) draft.insert("file_tag", { id, fileId, tagId });
        }
      },
    },
    "tag.remove": {
      optimistic: (draft: Draft, { tagId, fileIds }: LinksInput) => {
        for (const fileId of fileIds) draft.delete("file_tag", linkIdOf(tagId, fileId));
      },
    },
    "tag.delete": {
      optimistic: (draft: Draft, { id }: { readonly id: string }) => {
        const links = Array.from(draft.all("file_tag")).filter((link) => link["tagId"] === id);
        for (const link of links) draft.delete("file_tag", link.id);
        draft.delete("tag", id);
      },
    },
  },
} satisfies ClientRules;
