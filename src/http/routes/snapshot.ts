import { Hono } from "hono";
import type { Library } from "../../library/library.ts";
import { SyncError } from "../../protocol/errors.ts";
import { decodeRow, toFields } from "../../resource/compile.ts";
import type { CompiledResource, Row } from "../../resource/compile.ts";
import type { Service } from "../../service.ts";
import { pack } from "../../stream/codec.ts";
import { joinBytes } from "../../stream/frame.ts";
import { renderRows } from "../../stream/render.ts";
import { MSGPACK } from "../body.ts";
import { respond } from "../gzip.ts";
import { authenticate, openFor, visibleTypes } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

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
interface Selection {
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
  for (let after = options.from; ;) {
    const [rows = []] = await library.database.read([
      { sql: resource.sql.page, args: [after, PAGE] },
    ]);
    const decoded = rows.map(([json]) => decodeRow(resource, json as string));
    if (options.isStored) yield* decoded.map((row) => toStored(resource, row));
    else {
      for (const one of await renderRows(resource, decoded, library.reader)) {
        yield { resource_type: resource.type, resource: one };
      }
    }
    const last = decoded.at(-1)?.["id"];
    if (typeof last !== "string" || decoded.length < PAGE) break;
    after = last;
  }
  for (let after = ""; ;) {
    const sql = `SELECT record_id, version FROM tombstones WHERE model_type = ? AND record_id > ?
      ORDER BY record_id LIMIT ?`;
    const [rows = []] = await library.database.read([{ sql, args: [resource.type, after, PAGE] }]);
    for (const [deleted, version] of rows) yield { resource_type: resource.type, deleted, version };
    if (rows.length < PAGE) break;
    after = rows.at(-1)?.[0] as string;
  }
}

/** The lines of a snapshot. */
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
  yield { end: { sequence, counts } };
}

/** What a snapshot was asked for. @throws invalid_body for a place that is no record's */
function selectionOf(c: AppContext, service: Service, library: Library): Selection {
  const types = visibleTypes(c, service, library.state.id);
  const resources = service.registry.resources.filter(
    ({ type, domain }) => domain !== "state" && (types === null || types.has(type)),
  );
  const afterKey = c.req.query("after_key");
  if (afterKey !== undefined && !resources.some(({ type }) => afterKey.startsWith(`${type}:`))) {
    const message = "Send the type and id of the last record, as in album:ID.";
    throw new SyncError("invalid_body", { issues: [{ path: "after_key", message }] });
  }
  return { resources, afterKey, isStored: c.req.query("rows") === "1" };
}

/** Bytes that are encoded at once. */
const PIECE_BYTES = 65_536;

/** Lines as bytes, as fast as the reader takes them. */
function toBody(
  lines: AsyncGenerator<Record<string, unknown>>,
  encode: (line: Record<string, unknown>) => Uint8Array,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const parts: Uint8Array[] = [];
      let isEnd = false;
      for (let size = 0; size < PIECE_BYTES && !isEnd;) {
        const { value, done } = await lines.next();
        isEnd = done === true;
        if (done === true) break;
        const bytes = encode(value);
        size += bytes.length;
        parts.push(bytes);
      }
      if (parts.length > 0) controller.enqueue(joinBytes(parts));
      if (isEnd) controller.close();
    },
    cancel: async () => void (await lines.return(undefined)),
  });
}

const encoder = new TextEncoder();

/** The whole library, in dependency order; the reader then tails from its sequence. */
export function snapshotRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/v1/libraries/:library/snapshot", async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "reader" });
    const lines = readLines(library, selectionOf(c, service, library));
    const isMsgpack = c.req.header("accept")?.includes(MSGPACK) === true;
    const encode = (line: Record<string, unknown>) => encoder.encode(`${JSON.stringify(line)}\n`);
    return respond(c.req.raw, toBody(lines, isMsgpack ? pack : encode), {
      status: 200,
      headers: {
        "content-type": isMsgpack ? MSGPACK : "application/x-ndjson",
        "cache-control": "no-store",
      },
    });
  });
}
