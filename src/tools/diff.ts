/**
 * What must change in a library so that its files are those of a directory tree.
 *
 * Records are matched by where they are, not by id: a found file belongs to the record that has its
 * name below the record of its directory. What is left on both sides may have moved:
 *
 *     1. add()     found files in walk order; those that match are done and forgotten
 *     2. finish()  directories, then files, whose traits occur once among the vanished and once
 *                  among the new become moves; below a moved directory step 1 is taken again
 *     3.           what remains is new, or deleted
 *
 * What lies where the walk could not look keeps its record: nobody knows that it is gone.
 *
 * The changes are in an order that never leaves a record without its parent: new and changed ones from
 * the top down, then the deletions from the bottom up.
 */
import { v5 } from "uuid";
import { DIRECTORY_MIME, type FoundFile } from "./walk.ts";

/** A file record of the library, with no more than a comparison needs. */
export interface CurrentFile {
  readonly id: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly size: number;
  readonly mime: string | null;
  /** Milliseconds since 1970, because one time can be written in several ways. */
  readonly modifiedMs: number | null;
  /** Tells whether someone named its content, which ends when the content changes. */
  readonly hasContentId: boolean;
}

/** The fields of a file record that an index knows. */
export type FileFields = Readonly<Record<string, string | number | null>>;

/** One change of a batch, as the service takes it. */
export type FileChange = { readonly resource_type: "file"; readonly id: string } & (
  | { readonly operation: "insert" | "update"; readonly data: FileFields }
  | { readonly operation: "delete" }
);

/** All that differs, in the order to send it. */
export interface Difference {
  readonly changes: readonly FileChange[];
  readonly addedCount: number;
  readonly changedCount: number;
  /** Files that have another name or directory but keep their record. */
  readonly movedCount: number;
  readonly deletedCount: number;
  readonly foundCount: number;
}

/** Takes the found files one by one, parents first, and then says what differs. */
export interface Comparison {
  add(found: FoundFile): void;
  /** Says that a file, or what a directory holds, could not be read. */
  keep(path: string): void;
  /** Called once, after the last `add`. */
  finish(): Difference;
}

/** The record of the file at `path`; the same tree at the same location always gets the same ids. */
export function fileIdOf(locationId: string, path: string, taken = 0): string {
  // A path cannot hold a NUL, so no other file has this name.
  return v5(taken === 0 ? path : `${path}\0${taken}`, locationId);
}

/** The record of a file nobody knows yet. */
export function toFields(
  found: FoundFile,
  locationId: string,
  parentId: string | null,
): FileFields {
  return {
    location_id: locationId,
    parent_id: parentId,
    name: found.name,
    extension: found.extension,
    size: found.size,
    mime: found.mime,
    modified_at: found.modifiedAt,
  };
}

/** Starts a comparison with the records of one location. It holds them until it is finished. */
export function createComparison(locationId: string, current: Iterable<CurrentFile>): Comparison {
  const records = new Map<string, CurrentFile>();
  for (const record of current) records.set(record.id, record);
  const children = indexChildren(records.values());
  const vanished = new Map(records);
  /** Directories by path, so that what they hold finds its parent. */
  const directories = new Map<string, string>();
  const unmatched = new Map<string, FoundFile[]>();
  const pairs: Pair[] = [];
  const unread = new Set<string>();
  let foundCount = 0;

  /** Settles `found` as `record`; only a directory or a difference is worth keeping. */
  const settle = (found: FoundFile, record: CurrentFile): void => {
    vanished.delete(record.id);
    if (found.mime === DIRECTORY_MIME) directories.set(found.path, record.id);
    pairs.push({ found, record });
  };

  const tryInPlace = (found: FoundFile, parentId: string | null): boolean => {
    const record = children.get(parentId)?.get(found.name);
    if (record === undefined || !vanished.has(record.id)) return false;
    // A file where a directory was is another thing, so it gets a record of its own.
    if ((found.mime === DIRECTORY_MIME) !== (record.mime === DIRECTORY_MIME)) return false;
    if (found.mime !== DIRECTORY_MIME && isSame(found, record, parentId))
      vanished.delete(record.id);
    else settle(found, record);
    return true;
  };

  /** Matches what lies below a directory whose record became known late. */
  const descend = (path: string): void => {
    const waiting = unmatched.get(path) ?? [];
    unmatched.delete(path);
    const parentId = directories.get(path) ?? null;
    const rest = waiting.filter((found) => !tryInPlace(found, parentId));
    if (rest.length > 0) unmatched.set(path, rest);
    for (const found of waiting) if (directories.has(found.path)) descend(found.path);
  };

  const keepUnread = (): void => {
    if (unread.size === 0) return;
    const kept = idsAt(unread, { directories, children });
    for (const record of vanished.values())
      if (chainOf(record, records).some(({ id }) => kept.has(id))) vanished.delete(record.id);
  };

  return {
    keep: (path) => void unread.add(path),
    add: (found) => {
      foundCount += 1;
      const { parentPath } = found;
      const parentId = parentPath === null ? null : directories.get(parentPath);
      if (parentId !== undefined && tryInPlace(found, parentId)) return;
      const waiting = unmatched.get(parentPath ?? "");
      if (waiting === undefined) unmatched.set(parentPath ?? "", [found]);
      else waiting.push(found);
    },
    finish: () => {
      keepUnread();
      const moves = { unmatched, vanished, settle };
      for (let isMoving = true; isMoving;) {
        const moved = matchMoves(moves, true);
        for (const found of moved) descend(found.path);
        isMoving = moved.length > 0;
      }
      // Directories that moved have become known.
      keepUnread();
      matchMoves(moves, false);
      const added = [...unmatched.values()].flat();
      return toDifference({ locationId, records, directories, vanished, pairs, added, foundCount });
    },
  };
}

interface Pair {
  readonly found: FoundFile;
  readonly record: CurrentFile;
}

interface Moves {
  readonly unmatched: Map<string, FoundFile[]>;
  readonly vanished: ReadonlyMap<string, CurrentFile>;
  readonly settle: (found: FoundFile, record: CurrentFile) => void;
}

/** Pairs what is unambiguous: first by name and traits, then, among the rest, by traits alone. */
function matchMoves({ unmatched, vanished, settle }: Moves, isDirectory: boolean): FoundFile[] {
  const moved = new Set<FoundFile>();
  for (const withName of [true, false]) {
    const news = [...unmatched.values()].flat().filter((found) => !moved.has(found));
    const found = unique(news, (file) => traitsOfFound(file, { isDirectory, withName }));
    const gone = unique(vanished.values(), (record) =>
      traitsOfRecord(record, { isDirectory, withName }),
    );
    for (const [traits, file] of found) {
      const record = gone.get(traits);
      if (file === null || record === undefined || record === null) continue;
      moved.add(file);
      settle(file, record);
    }
  }
  for (const [path, files] of unmatched) {
    const rest = files.filter((file) => !moved.has(file));
    if (rest.length === files.length) continue;
    if (rest.length === 0) unmatched.delete(path);
    else unmatched.set(path, rest);
  }
  return [...moved];
}

interface Known {
  /** The ids of directories by path. */
  readonly directories: ReadonlyMap<string, string>;
  readonly children: Children;
}

interface TraitOptions {
  readonly isDirectory: boolean;
  readonly withName: boolean;
}

function traitsOfFound(found: FoundFile, options: TraitOptions): string | null {
  if ((found.mime === DIRECTORY_MIME) !== options.isDirectory || found.modifiedAt === null)
    return null;
  const { name, size } = found;
  return `${size}/${Date.parse(found.modifiedAt)}/${options.withName ? name : ""}`;
}

function traitsOfRecord(record: CurrentFile, options: TraitOptions): string | null {
  if ((record.mime === DIRECTORY_MIME) !== options.isDirectory) return null;
  if (record.modifiedMs === null) return null;
  return `${record.size}/${record.modifiedMs}/${options.withName ? record.name : ""}`;
}

/** Maps each key to the one value that has it, or to null when several do. */
function unique<Value>(
  values: Iterable<Value>,
  keyOf: (value: Value) => string | null,
): Map<string, Value | null> {
  const known = new Map<string, Value | null>();
  for (const value of values) {
    const key = keyOf(value);
    if (key !== null) known.set(key, known.has(key) ? null : value);
  }
  return known;
}

/** The records that are known to stand at those paths. */
function idsAt(paths: Iterable<string>, { directories, children }: Known): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const path of paths) {
    const cut = path.lastIndexOf("/");
    const parentId = cut < 0 ? null : directories.get(path.slice(0, cut));
    const siblings = parentId === undefined ? undefined : children.get(parentId);
    const id = directories.get(path) ?? siblings?.get(path.slice(cut + 1))?.id;
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

type Children = ReadonlyMap<string | null, ReadonlyMap<string, CurrentFile>>;

/** Of two records with one name in one directory the smaller id stays; the other has no file. */
function indexChildren(records: Iterable<CurrentFile>): Children {
  const children = new Map<string | null, Map<string, CurrentFile>>();
  for (const record of records) {
    const siblings = children.get(record.parentId) ?? new Map<string, CurrentFile>();
    const twin = siblings.get(record.name);
    if (twin === undefined || record.id < twin.id) siblings.set(record.name, record);
    children.set(record.parentId, siblings);
  }
  return children;
}

function isSame(found: FoundFile, record: CurrentFile, parentId: string | null): boolean {
  return Object.keys(toUpdate({ found, record }, parentId)).length === 0;
}

/** The fields of the record that are no longer true. */
function toUpdate({ found, record }: Pair, parentId: string | null): FileFields {
  const fields: Record<string, string | number | null> = {};
  if (parentId !== record.parentId) fields["parent_id"] = parentId;
  if (found.name !== record.name) {
    fields["name"] = found.name;
    fields["extension"] = found.extension;
  }
  const modifiedMs = found.modifiedAt === null ? null : Date.parse(found.modifiedAt);
  if (found.size !== record.size) fields["size"] = found.size;
  if (modifiedMs !== record.modifiedMs) fields["modified_at"] = found.modifiedAt;
  const hasNewContent = found.size !== record.size || modifiedMs !== record.modifiedMs;
  if (hasNewContent && record.hasContentId) fields["content_id"] = null;
  if (found.mime !== record.mime) fields["mime"] = found.mime;
  return fields;
}

interface Outcome {
  readonly locationId: string;
  readonly records: ReadonlyMap<string, CurrentFile>;
  readonly directories: Map<string, string>;
  readonly vanished: ReadonlyMap<string, CurrentFile>;
  readonly pairs: readonly Pair[];
  readonly added: readonly FoundFile[];
  readonly foundCount: number;
}

function toDifference(outcome: Outcome): Difference {
  const { locationId, directories, vanished, foundCount } = outcome;
  const changes: FileChange[] = [];
  let changedCount = 0;
  let movedCount = 0;
  // A path sorts behind the path of its directory, so parents come first.
  const added: Step[] = outcome.added.map((found) => ({ found, record: null }));
  const steps = [...added, ...outcome.pairs].sort((left, right) =>
    left.found.path < right.found.path ? -1 : 1,
  );
  for (const { found, record } of steps) {
    const parentId = found.parentPath === null ? null : (directories.get(found.parentPath) ?? null);
    if (record === null) {
      const id = freeId(outcome, found.path);
      if (found.mime === DIRECTORY_MIME) directories.set(found.path, id);
      const data = toFields(found, locationId, parentId);
      changes.push({ resource_type: "file", operation: "insert", id, data });
      continue;
    }
    const data = toUpdate({ found, record }, parentId);
    if (Object.keys(data).length === 0) continue;
    if ("parent_id" in data || "name" in data) movedCount += 1;
    else changedCount += 1;
    changes.push({ resource_type: "file", operation: "update", id: record.id, data });
  }
  for (const { id } of childrenFirst(vanished, outcome.records)) {
    changes.push({ resource_type: "file", operation: "delete", id });
  }
  const [addedCount, deletedCount] = [added.length, vanished.size];
  return { changes, addedCount, changedCount, movedCount, deletedCount, foundCount };
}

interface Step {
  readonly found: FoundFile;
  readonly record: CurrentFile | null;
}

/** A file that moved keeps its id, so the id of its old path may be taken when a new file is there. */
function freeId({ locationId, records }: Outcome, path: string): string {
  for (let taken = 0; ; taken += 1) {
    const id = fileIdOf(locationId, path, taken);
    if (!records.has(id)) return id;
  }
}

/** A record and those above it. A damaged library may hold a cycle: the chain ends where it meets itself. */
function chainOf(record: CurrentFile, records: ReadonlyMap<string, CurrentFile>): CurrentFile[] {
  const chain = new Set<CurrentFile>();
  for (let at: CurrentFile | undefined = record; at !== undefined && !chain.has(at);) {
    chain.add(at);
    at = at.parentId === null ? undefined : records.get(at.parentId);
  }
  return [...chain];
}

function childrenFirst(
  vanished: ReadonlyMap<string, CurrentFile>,
  records: ReadonlyMap<string, CurrentFile>,
): CurrentFile[] {
  const depths = new Map(
    [...vanished.values()].map((record) => [record.id, chainOf(record, records).length]),
  );
  const depthOf = ({ id }: CurrentFile): number => depths.get(id) ?? 0;
  return [...vanished.values()].sort((left, right) => depthOf(right) - depthOf(left));
}
