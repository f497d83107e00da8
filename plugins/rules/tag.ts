/**
 * What a client knows about tags without asking.
 *
 * @module
 */
import { compareText } from "../../src/resource/rules.ts";
import type { ClientRules, Draft } from "../../src/resource/rules.ts";
import { linkId } from "./link.ts";

export interface LinkFields {
  readonly fileId: string;
  readonly tagId: string;
}

export interface LinksInput {
  readonly tagId: string;
  readonly fileIds: readonly string[];
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
      matches: () => true,
      compare: (left: { readonly name: string }, right: { readonly name: string }) =>
        compareText(left.name, right.name),
      limit: () => 1_000,
    },
    "tag.links": {
      returns: "file_tag",
      matches: (
        link: LinkFields,
        {
          fileId,
          tagId,
        }: { readonly fileId?: string | undefined; readonly tagId?: string | undefined },
      ) =>
        (fileId === undefined || link.fileId === fileId) &&
        (tagId === undefined || link.tagId === tagId),
      compare: byId,
      limit: () => 10_000,
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
