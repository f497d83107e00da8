// DO NOT EDIT MANUALLY. Made by `syncline generate` from the registry.
import * as v from "valibot";

/** The registry this was made from; `hello` on the stream tells the service's own. */
export const registryHash = "3ec2c716";

export const Album = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  name: v.string(),
  description: v.nullable(v.string()),
  cover_id: v.nullable(v.string()),
});
export type Album = v.InferOutput<typeof Album>;

export const AlbumItem = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  album_id: v.string(),
  file_id: v.string(),
  position: v.pipe(v.number(), v.safeInteger()),
});
export type AlbumItem = v.InferOutput<typeof AlbumItem>;

export const File = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  location_id: v.string(),
  parent_id: v.nullable(v.string()),
  name: v.string(),
  extension: v.nullable(v.string()),
  size: v.pipe(v.number(), v.safeInteger()),
  mime: v.nullable(v.string()),
  modified_at: v.nullable(v.string()),
  content_id: v.nullable(v.string()),
});
export type File = v.InferOutput<typeof File>;

export const FileTag = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  file_id: v.string(),
  tag_id: v.string(),
});
export type FileTag = v.InferOutput<typeof FileTag>;

export const Location = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  device_id: v.string(),
  name: v.string(),
  path_hint: v.nullable(v.string()),
});
export type Location = v.InferOutput<typeof Location>;

export const Tag = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  name: v.string(),
  color: v.nullable(v.string()),
});
export type Tag = v.InferOutput<typeof Tag>;

export const UserMetadata = v.looseObject({
  id: v.string(),
  version: v.pipe(v.number(), v.safeInteger()),
  file_id: v.string(),
  favorite: v.boolean(),
  hidden: v.boolean(),
  notes: v.nullable(v.string()),
  custom: v.nullable(v.unknown()),
});
export type UserMetadata = v.InferOutput<typeof UserMetadata>;

/** Every type that travels. */
export const resourceTypeMap = {
  album: Album,
  album_item: AlbumItem,
  file: File,
  file_tag: FileTag,
  location: Location,
  tag: Tag,
  user_metadata: UserMetadata,
} as const;

export const AlbumItemsQuery = v.object({
  album_id: v.string(),
});
export const AlbumListQuery = v.object({
  sort: v.optional(v.picklist(["name","-name"])),
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
  after_id: v.optional(v.string()),
});
export const FileByDirectoryQuery = v.object({
  location_id: v.string(),
  parent_id: v.optional(v.nullable(v.string())),
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
  after_id: v.optional(v.string()),
});
export const FileFavoritesQuery = v.object({});
export const FileSearchQuery = v.object({
  text: v.string(),
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
});
export const FileWithTagQuery = v.object({
  tag_id: v.string(),
});
export const LocationListQuery = v.object({});
export const TagLinksQuery = v.object({
  file_id: v.optional(v.string()),
  tag_id: v.optional(v.string()),
});
export const TagListQuery = v.object({});

export const queries = {
  "album.items": { input: AlbumItemsQuery, returns: "album_item" },
  "album.list": { input: AlbumListQuery, returns: "album" },
  "file.by_directory": { input: FileByDirectoryQuery, returns: "file" },
  "file.favorites": { input: FileFavoritesQuery, returns: "user_metadata" },
  "file.search": { input: FileSearchQuery, returns: "file" },
  "file.with_tag": { input: FileWithTagQuery, returns: "file" },
  "location.list": { input: LocationListQuery, returns: "location" },
  "tag.links": { input: TagLinksQuery, returns: "file_tag" },
  "tag.list": { input: TagListQuery, returns: "tag" },
} as const;

export const AlbumAddFilesAction = v.object({
  album_id: v.string(),
  file_ids: v.array(v.string()),
});
export const AlbumDeleteAction = v.object({
  id: v.string(),
});
export const AlbumMoveItemAction = v.object({
  id: v.string(),
  after_id: v.optional(v.nullable(v.string())),
});
export const FileDeleteAction = v.object({
  ids: v.array(v.string()),
});
export const FileFavoriteAction = v.object({
  id: v.string(),
  favorite: v.boolean(),
});
export const FileMoveAction = v.object({
  ids: v.array(v.string()),
  parent_id: v.nullable(v.string()),
});
export const FileRenameAction = v.object({
  id: v.string(),
  name: v.string(),
});
export const TagApplyAction = v.object({
  tag_id: v.string(),
  file_ids: v.array(v.string()),
});
export const TagDeleteAction = v.object({
  id: v.string(),
});
export const TagRemoveAction = v.object({
  tag_id: v.string(),
  file_ids: v.array(v.string()),
});

export const actions = {
  "album.add_files": { input: AlbumAddFilesAction },
  "album.delete": { input: AlbumDeleteAction },
  "album.move_item": { input: AlbumMoveItemAction },
  "file.delete": { input: FileDeleteAction },
  "file.favorite": { input: FileFavoriteAction },
  "file.move": { input: FileMoveAction },
  "file.rename": { input: FileRenameAction },
  "tag.apply": { input: TagApplyAction },
  "tag.delete": { input: TagDeleteAction },
  "tag.remove": { input: TagRemoveAction },
} as const;

export type ResourceTypeMap = {
  [Type in keyof typeof resourceTypeMap]: v.InferOutput<(typeof resourceTypeMap)[Type]>;
};
export type ResourceType = keyof ResourceTypeMap;

export function isResourceType(type: string): type is ResourceType {
  return Object.hasOwn(resourceTypeMap, type);
}

/** A resource of a type, checked. Throws for an unknown type, and ValiError for what does not fit. */
export function decodeResource<Type extends ResourceType>(
  type: Type,
  data: unknown,
): ResourceTypeMap[Type] {
  if (!isResourceType(type)) throw new Error(`Unknown resource type: ${String(type)}`);
  return v.parse(resourceTypeMap[type], data) as ResourceTypeMap[Type];
}

export const Envelope = v.looseObject({
  id: v.string(),
  timestamp: v.string(),
  library_id: v.string(),
  sequence: v.optional(v.pipe(v.number(), v.safeInteger())),
  span: v.optional(v.pipe(v.number(), v.safeInteger())),
  epoch: v.pipe(v.number(), v.safeInteger()),
  transaction_id: v.optional(v.string()),
  mutation_id: v.optional(v.string()),
});
export type Envelope = v.InferOutput<typeof Envelope>;

const Kind = v.looseObject({ type: v.string(), data: v.record(v.string(), v.unknown()) });

/** A resource with its type; narrow it by `type`. */
export type TypedResource = {
  [Type in ResourceType]: { readonly type: Type; readonly resource: ResourceTypeMap[Type] };
}[ResourceType];

export interface DecodedEvent {
  readonly envelope: Envelope;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The records that were created or changed. */
  readonly changed: readonly TypedResource[];
  readonly deleted: readonly { readonly type: string; readonly id: string }[];
  /** What did not fit, one by one: the others are there. What they name is to be read again. */
  readonly problems: readonly { readonly type: string; readonly id: unknown; readonly error: unknown }[];
}

/** An event of the stream. Throws only when it is no event; a bad record becomes one of `problems`. */
export function decodeEvent(value: unknown): DecodedEvent {
  const { envelope, kind } = v.parse(v.looseObject({ envelope: Envelope, kind: Kind }), value);
  const { data } = kind;
  const type = String(data["resource_type"] ?? "");
  const list = (name: string): unknown[] => {
    const found = data[name];
    return Array.isArray(found) ? found : [];
  };
  const single = data["resource"];
  const changed: TypedResource[] = [];
  const problems: { type: string; id: unknown; error: unknown }[] = [];
  for (const given of [...list("resources"), ...(single == null ? [] : [single])]) {
    try {
      const resource = decodeResource(type as ResourceType, given);
      changed.push({ type, resource } as TypedResource);
    } catch (error) {
      problems.push({ type, id: (given as { id?: unknown } | null)?.id, error });
    }
  }
  const gone = data["resource_id"];
  const deleted = [
    ...list("deleted_ids"),
    ...(kind.type === "ResourceDeleted" && gone !== undefined ? [gone] : []),
  ];
  return {
    envelope,
    kind: kind.type,
    data,
    changed,
    deleted: deleted.map((id) => ({ type, id: String(id) })),
    problems,
  };
}
