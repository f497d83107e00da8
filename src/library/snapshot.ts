import { toFields } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import { readPages } from "../store/pages.ts";
import { renderRows } from "../stream/render.ts";
import type { Catalog } from "./catalog.ts";
import type { Library } from "./library.ts";

/** Tombstones that are read at once. */
const PAGE = 500;

/** A record as it is stored, for followers: its own fields, and where it came from. */
function toStored(resource: CompiledResource, row: Row): Record<string, unknown> {
  const { id, version, origin_device_id: device_id, created_at, updated_at } = row;
  return {
    resource_type: resource.type,
    resource: { id, version, ...toFields(resource, row) },
    origin: { device_id, created_at, updated_at },
  };
}

/** What is read, and how: `isStored` gives records as they are stored, not as clients see them. */
export interface Selection {
  readonly resources: readonly CompiledResource[];
  /** "type:id": goes on behind that record. */
  readonly afterKey: string | undefined;
  readonly isStored: boolean;
}

/** All records of one type after an id, then its tombstones; a page at a time. */
async function* readType(
  library: Library,
  resource: CompiledResource,
  options: { readonly from: string; readonly isStored: boolean },
): AsyncGenerator<Record<string, unknown>> {
  const { readNear, turn } = library.database;
  for await (const rows of readPages(readNear, resource, { from: options.from, turn })) {
    if (options.isStored) yield* rows.map((row) => toStored(resource, row));
    else {
      for (const one of await renderRows(resource, rows, library.reader)) {
        yield { resource_type: resource.type, resource: one };
      }
    }
  }
  for (let after = ""; ;) {
    const sql = `SELECT record_id, version FROM tombstones WHERE model_type = ? AND record_id > ?
      ORDER BY record_id LIMIT ?`;
    const args = [resource.type, after, PAGE];
    const [rows = []] = await turn(() => readNear([{ sql, args }]));
    for (const [deleted, version] of rows) yield { resource_type: resource.type, deleted, version };
    if (rows.length < PAGE) break;
    after = rows.at(-1)?.[0] as string;
  }
}

/**
 * The entry that no record here is newer than: the head, or where the log of a copy is yet to come to. Null
 * in the middle of a snapshot, when nobody knows.
 */
async function newestOf({ database }: Library): Promise<number | null> {
  const sql = `SELECT max(head, coalesce((SELECT snapshot_sequence FROM follower), 0)) FROM library
    WHERE (SELECT snapshot_types FROM follower) IS NULL`;
  const [rows = []] = await database.read([{ sql, args: [] }]);
  return (rows[0]?.[0] as number | undefined) ?? null;
}

/** The lines of a snapshot: where it begins, the records in dependency order, and its end. */
async function* readLines(
  library: Library,
  { resources, afterKey, isStored }: Selection,
): AsyncGenerator<Record<string, unknown>> {
  const { state } = library;
  const sequence = state.head;
  const types = resources.map(({ type }) => type);
  yield { snapshot: { sequence, history_id: state.historyId, types } };
  const [startType, startId = ""] = afterKey?.split(":") ?? [];
  const first = startType === undefined ? 0 : Math.max(0, types.indexOf(startType));
  const counts: Record<string, number> = {};
  for (const resource of resources.slice(first)) {
    let count = 0;
    const from = resource.type === startType ? startId : "";
    for await (const line of readType(library, resource, { from, isStored })) {
      if ("resource" in line) count += 1;
      yield line;
    }
    counts[resource.type] = count;
  }
  if (!isStored) yield { end: { sequence, counts } };
  else {
    const newest = await newestOf(library);
    // What is itself in the middle of one has no end yet; whoever reads it goes on from there later.
    if (newest !== null) yield { end: { sequence, counts, newest } };
  }
}

/** The lines of a snapshot of a library, which stays open until the last is read or nobody reads on. */
export async function* readSnapshot(
  { hold }: Pick<Catalog, "hold">,
  libraryId: string,
  selection: Selection,
): AsyncGenerator<Record<string, unknown>> {
  const { library, letGo } = await hold(libraryId);
  try {
    await library.leadership.refresh();
    yield* readLines(library, selection);
  } finally {
    letGo();
  }
}
