/**
 * What a client knows about albums without asking.
 *
 * @module
 */
import { compareText, isAfter } from "../../src/resource/rules.ts";
import type { ClientRules, Draft, DraftRecord, TextCursor } from "../../src/resource/rules.ts";
import { linkId } from "./link.ts";

export interface AlbumFields {
  readonly id: string;
  readonly name: string;
}

export interface ItemFields {
  readonly id: string;
  readonly albumId: string;
  readonly position: number;
}

export interface ListInput extends TextCursor {
  readonly sort?: "name" | "-name" | undefined;
  readonly limit?: number | undefined;
}

export interface ItemsInput {
  readonly albumId: string;
  readonly limit?: number | undefined;
  readonly after?: number | undefined;
  readonly afterId?: string | undefined;
}

/** Room between neighbours, so that a move changes one record. */
const gap = 1_024;

/** The id of a file's place in an album: the same on every device, so that two become one. */
export function itemIdOf(albumId: string, fileId: string): string {
  return linkId(albumId, fileId);
}

/** The position after the last item. */
export function nextPosition(items: Iterable<{ readonly position: number }>): number {
  let last = 0;
  for (const { position } of items) last = Math.max(last, position);
  return last + gap;
}

function compareItems(left: ItemFields, right: ItemFields): number {
  return left.position - right.position || compareText(left.id, right.id);
}

/**
 * The new positions when `id` moves behind `afterId` (or to the front): one record in general, all of
 * the album when its neighbours leave no room. Nothing when a record is not there.
 */
export function planMove(
  items: readonly ItemFields[],
  id: string,
  afterId: string | null,
): { readonly id: string; readonly position: number }[] {
  const moved = items.find((item) => item.id === id);
  const others = items.filter((item) => item.id !== id).toSorted(compareItems);
  const index = afterId === null ? 0 : others.findIndex((item) => item.id === afterId) + 1;
  if (moved === undefined || (afterId !== null && index === 0)) return [];
  const before = others[index - 1]?.position ?? null;
  const next = others[index]?.position ?? null;
  if (before === null && next === null) return [];
  if (next === null) return [{ id, position: (before ?? 0) + gap }];
  const position = before === null ? next - gap : Math.floor((before + next) / 2);
  if (before === null || (position > before && position < next)) return [{ id, position }];
  const ordered = others.toSpliced(index, 0, moved);
  return ordered.map((item, place) => ({ id: item.id, position: (place + 1) * gap }));
}

function itemsOf(draft: Draft, albumId: string): ItemFields[] {
  return [...(draft.all("album_item") as Iterable<DraftRecord & ItemFields>)].filter(
    (item) => item.albumId === albumId,
  );
}

export const albumRules = {
  queries: {
    "album.list": {
      returns: "album",
      matches: ({ id, name }: AlbumFields, input: ListInput) =>
        isAfter({ id, text: name }, input, input.sort !== "-name"),
      compare: (left: AlbumFields, right: AlbumFields, { sort }: ListInput) =>
        compareText(left.name, right.name) * (sort === "-name" ? -1 : 1),
      limit: ({ limit }: ListInput) => limit ?? 100,
    },
    "album.items": {
      returns: "album_item",
      partition: ["albumId"],
      matches: (item: ItemFields, { albumId, after, afterId }: ItemsInput) =>
        item.albumId === albumId &&
        (after === undefined ||
          item.position > after ||
          (item.position === after && afterId !== undefined && item.id > afterId)),
      compare: (left: ItemFields, right: ItemFields) => left.position - right.position,
      limit: ({ limit }: ItemsInput) => limit ?? 10_000,
    },
  },
  actions: {
    "album.add_files": {
      optimistic: (
        draft: Draft,
        { albumId, fileIds }: { readonly albumId: string; readonly fileIds: readonly string[] },
      ) => {
        let position = nextPosition(itemsOf(draft, albumId));
        for (const fileId of fileIds) {
          const id = itemIdOf(albumId, fileId);
          if (draft.get("album_item", id) !== null) continue;
          draft.insert("album_item", { id, albumId, fileId, position });
          position += gap;
        }
      },
    },
    "album.move_item": {
      optimistic: (
        draft: Draft,
        { id, afterId }: { readonly id: string; readonly afterId?: string | null | undefined },
      ) => {
        const item = draft.get("album_item", id) as ItemFields | null;
        if (item === null) return;
        for (const { id: changed, position } of planMove(
          itemsOf(draft, item.albumId),
          id,
          afterId ?? null,
        )) {
          draft.update("album_item", changed, { position });
        }
      },
    },
    "album.delete": {
      optimistic: (draft: Draft, { id }: { readonly id: string }) => {
        for (const item of itemsOf(draft, id)) draft.delete("album_item", item.id);
        draft.delete("album", id);
      },
    },
  },
} satisfies ClientRules;
