import type { LogEntry } from "../log/sync-log.ts";
import type { WireResource } from "../protocol/errors.ts";
import { renameKeys, toSnakeCase } from "../base/case.ts";
import { decodeRow, toTyped, toWireResource } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { Reader } from "../resource/define.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import type { RenderedEntry } from "./event.ts";

/** Builds the resources of rows of one type, with one call for all of them (TM-22). */
export async function renderRows(
  resource: CompiledResource,
  rows: readonly Row[],
  reader: Reader,
): Promise<WireResource[]> {
  const { build } = resource.definition;
  if (build === undefined) return rows.map((row) => toWireResource(resource, row));
  const built = await build(
    rows.map((row) => toTyped(resource, row)),
    reader,
  );
  return rows.map((row, index) => ({
    id: row["id"] as string,
    version: row["version"] as number,
    ...renameKeys(built[index] ?? {}, toSnakeCase),
  }));
}

export interface Source {
  readonly database: Database;
  readonly reader: Reader;
  /** Hears of each row as it is stored; what it throws ends the reading. */
  readonly onBytes?: (bytes: number) => void;
}

/** Records that are read at once, so that whoever counts their bytes can stop. */
const AT_ONCE = 512;

async function readByIds(
  { database, onBytes }: Source,
  resource: CompiledResource,
  ids: readonly string[],
): Promise<Row[]> {
  const rows: Row[] = [];
  const wanted = [...new Set(ids)];
  for (let at = 0; at < wanted.length; at += AT_ONCE) {
    const [found = []] = await database.readNear([
      { sql: resource.sql.selectByIds, args: [JSON.stringify(wanted.slice(at, at + AT_ONCE))] },
    ]);
    for (const [json] of found as [string][]) {
      onBytes?.(json.length);
      rows.push(decodeRow(resource, json));
    }
  }
  return rows;
}

/** The records of these ids as clients see them now, in no order; missing ones are left out. */
export async function fetchByIds(
  source: Source,
  resource: CompiledResource,
  ids: readonly string[],
): Promise<WireResource[]> {
  return renderRows(resource, await readByIds(source, resource, ids), source.reader);
}

/**
 * Gives each entry the record it left: from the log itself where that says all, else from the rows. What
 * its plugin cannot build is null, so that one bad record never ends the stream of all who catch up.
 */
export async function renderEntries(
  entries: readonly LogEntry[],
  context: Source & { readonly registry: Registry; readonly onUnbuilt: (error: unknown) => void },
): Promise<RenderedEntry[]> {
  const built = new Map<string, WireResource>();
  const wanted = new Map<CompiledResource, string[]>();
  for (const { modelType, recordId, changeType } of entries) {
    const resource = context.registry.find(modelType);
    if (resource === undefined || resource.isPlain || changeType === "delete") continue;
    const ids = wanted.get(resource) ?? [];
    ids.push(recordId);
    wanted.set(resource, ids);
  }
  for (const [resource, ids] of wanted) {
    const rows = await readByIds(context, resource, ids);
    try {
      for (const one of await renderRows(resource, rows, context.reader))
        built.set(`${resource.type}:${one.id}`, one);
    } catch (error) {
      context.onUnbuilt(error);
    }
  }
  return entries.map((entry) => {
    if (entry.changeType === "delete") return { entry, resource: null };
    const resource = context.registry.find(entry.modelType);
    if (resource?.isPlain === false) {
      return { entry, resource: built.get(`${entry.modelType}:${entry.recordId}`) ?? null };
    }
    return {
      entry,
      resource:
        entry.data === null ? null : { id: entry.recordId, version: entry.version, ...entry.data },
    };
  });
}
