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
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.pipe(v.number(), v.safeInteger())),
  after_id: v.optional(v.string()),
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
export const FileFavoritesQuery = v.object({
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
});
export const FileMetadataQuery = v.object({
  file_id: v.string(),
});
export const FileSearchQuery = v.object({
  text: v.string(),
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
});
export const FileWithTagQuery = v.object({
  tag_id: v.string(),
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
  after_id: v.optional(v.string()),
});
export const LocationListQuery = v.object({
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
  after_id: v.optional(v.string()),
});
export const TagLinksQuery = v.object({
  file_id: v.optional(v.string()),
  tag_id: v.optional(v.string()),
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
});
export const TagListQuery = v.object({
  limit: v.optional(v.pipe(v.number(), v.safeInteger())),
  after: v.optional(v.string()),
  after_id: v.optional(v.string()),
});

export const queries = {
  "album.items": { input: AlbumItemsQuery, returns: "album_item", related: ["file"] },
  "album.list": { input: AlbumListQuery, returns: "album", related: [] },
  "file.by_directory": { input: FileByDirectoryQuery, returns: "file", related: [] },
  "file.favorites": { input: FileFavoritesQuery, returns: "user_metadata", related: ["file"] },
  "file.metadata": { input: FileMetadataQuery, returns: "user_metadata", related: [] },
  "file.search": { input: FileSearchQuery, returns: "file", related: [] },
  "file.with_tag": { input: FileWithTagQuery, returns: "file", related: [] },
  "location.list": { input: LocationListQuery, returns: "location", related: [] },
  "tag.links": { input: TagLinksQuery, returns: "file_tag", related: [] },
  "tag.list": { input: TagListQuery, returns: "tag", related: [] },
} as const;

export const AlbumAddFilesAction = v.object({
  album_id: v.string(),
  file_ids: v.array(v.string()),
});
export const AlbumAddFilesOutput = v.looseObject({ added: v.pipe(v.number(), v.safeInteger()), });
export const AlbumDeleteAction = v.object({
  id: v.string(),
});
export const AlbumDeleteOutput = v.looseObject({ deleted: v.pipe(v.number(), v.safeInteger()), });
export const AlbumMoveItemAction = v.object({
  id: v.string(),
  after_id: v.optional(v.nullable(v.string())),
});
export const AlbumMoveItemOutput = v.looseObject({ changed: v.pipe(v.number(), v.safeInteger()), });
export const FileDeleteAction = v.object({
  ids: v.array(v.string()),
});
export const FileDeleteOutput = v.looseObject({ deleted: v.pipe(v.number(), v.safeInteger()), });
export const FileFavoriteAction = v.object({
  id: v.string(),
  favorite: v.boolean(),
});
export const FileFavoriteOutput = v.looseObject({ favorite: v.boolean(), });
export const FileMoveAction = v.object({
  ids: v.array(v.string()),
  parent_id: v.nullable(v.string()),
});
export const FileMoveOutput = v.looseObject({ moved: v.pipe(v.number(), v.safeInteger()), });
export const FileRenameAction = v.object({
  id: v.string(),
  name: v.string(),
});
export const FileRenameOutput = v.looseObject({ id: v.string(), });
export const TagApplyAction = v.object({
  tag_id: v.string(),
  file_ids: v.array(v.string()),
});
export const TagApplyOutput = v.looseObject({ applied: v.pipe(v.number(), v.safeInteger()), });
export const TagDeleteAction = v.object({
  id: v.string(),
});
export const TagDeleteOutput = v.looseObject({ deleted: v.pipe(v.number(), v.safeInteger()), });
export const TagRemoveAction = v.object({
  tag_id: v.string(),
  file_ids: v.array(v.string()),
});
export const TagRemoveOutput = v.looseObject({ removed: v.pipe(v.number(), v.safeInteger()), });

export const actions = {
  "album.add_files": { input: AlbumAddFilesAction, output: AlbumAddFilesOutput },
  "album.delete": { input: AlbumDeleteAction, output: AlbumDeleteOutput },
  "album.move_item": { input: AlbumMoveItemAction, output: AlbumMoveItemOutput },
  "file.delete": { input: FileDeleteAction, output: FileDeleteOutput },
  "file.favorite": { input: FileFavoriteAction, output: FileFavoriteOutput },
  "file.move": { input: FileMoveAction, output: FileMoveOutput },
  "file.rename": { input: FileRenameAction, output: FileRenameOutput },
  "tag.apply": { input: TagApplyAction, output: TagApplyOutput },
  "tag.delete": { input: TagDeleteAction, output: TagDeleteOutput },
  "tag.remove": { input: TagRemoveAction, output: TagRemoveOutput },
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

export type ActionName = keyof typeof actions;
export type ActionOutput<Name extends ActionName> = v.InferOutput<(typeof actions)[Name]["output"]>;

/** What an action answered beside its records, checked. Throws ValiError for what does not fit. */
export function decodeOutput<Name extends ActionName>(
  name: Name,
  answer: unknown,
): ActionOutput<Name> {
  const { output } = v.parse(v.looseObject({ output: v.unknown() }), answer);
  return v.parse(actions[name].output, output) as ActionOutput<Name>;
}

export type QueryName = keyof typeof queries;
type Returned<Name extends QueryName> = Extract<(typeof queries)[Name]["returns"], ResourceType>;
type Related<Name extends QueryName> = Extract<
  (typeof queries)[Name]["related"][number],
  ResourceType
>;

export interface QueryAnswer<Name extends QueryName> {
  /** The records in their order; empty for a query of plain values. */
  readonly records: readonly ResourceTypeMap[Returned<Name>][];
  /** What the query answers: the ids of the records, or values. */
  readonly data: readonly unknown[];
  /** The records that travel along, by type; none of those that the token may not see. */
  readonly related: { readonly [Type in Related<Name>]: readonly ResourceTypeMap[Type][] };
  readonly sequence: number;
}

const Answer = v.looseObject({
  data: v.array(v.unknown()),
  included: v.record(v.string(), v.array(v.unknown())),
  meta: v.looseObject({ sequence: v.pipe(v.number(), v.safeInteger()) }),
});

/** A query's answer, checked. Throws ValiError for what does not fit. */
export function decodeAnswer<Name extends QueryName>(name: Name, answer: unknown): QueryAnswer<Name> {
  const { data, included, meta } = v.parse(Answer, answer);
  const { returns, related } = queries[name] as {
    readonly returns: ResourceType | null;
    readonly related: readonly ResourceType[];
  };
  const read = (type: ResourceType) =>
    (included[type] ?? []).map((one) => decodeResource(type, one));
  const found = returns === null ? [] : read(returns);
  const byId = new Map(found.map((one) => [one.id, one]));
  return {
    records: data.flatMap((id) => byId.get(String(id)) ?? []),
    data,
    related: Object.fromEntries(related.map((type) => [type, read(type)])),
    sequence: meta.sequence,
  } as unknown as QueryAnswer<Name>;
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
  /** They changed, but their content could not travel: they are to be read again. */
  readonly touched: readonly { readonly type: string; readonly id: string }[];
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
  const only = data["resource_id"] === undefined ? [] : [data["resource_id"]];
  const isGone = kind.type === "ResourceDeleted";
  const name = (id: unknown) => ({ type, id: String(id) });
  return {
    envelope,
    kind: kind.type,
    data,
    changed,
    deleted: [...list("deleted_ids"), ...(isGone ? only : [])].map(name),
    touched: [...list("resource_ids"), ...(isGone ? [] : only)].map(name),
    problems,
  };
}
