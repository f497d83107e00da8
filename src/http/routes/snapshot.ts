import { Hono } from "hono";
import { isId } from "../../base/id.ts";
import type { Library } from "../../library/library.ts";
import { readSnapshot } from "../../library/snapshot.ts";
import type { Selection } from "../../library/snapshot.ts";
import { SyncError } from "../../protocol/errors.ts";
import type { Service } from "../../service.ts";
import { pack } from "../../stream/codec.ts";
import { joinBytes } from "../../stream/frame.ts";
import { respond } from "../gzip.ts";
import { MSGPACK, RECORDS_MSGPACK, RECORDS_NDJSON, accepts } from "../media.ts";
import { PIECE_BYTES, createPacedBody } from "../paced.ts";
import { authenticate, openFor, visibleTypes } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";

/** What a snapshot was asked for. @throws invalid_body for a place that is no record's */
function selectionOf(c: AppContext, service: Service, library: Library): Selection {
  const types = visibleTypes(c, service, library.state.id);
  const resources = service.registry.resources.filter(
    ({ type, domain }) => domain !== "state" && (types === null || types.has(type)),
  );
  const isStored = c.req.query("rows") === "1";
  const key = c.req.query("after_key");
  if (key === undefined) return { resources, afterKey: undefined, isStored };
  const [startType, id = ""] = key.split(":");
  if ((id !== "" && !isId(id)) || !resources.some(({ type }) => type === startType)) {
    const message = "Send the type and id of the last record, as in album:ID.";
    throw new SyncError("invalid_body", { issues: [{ path: "after_key", message }] });
  }
  return { resources, afterKey: `${startType}:${id.toLowerCase()}`, isStored };
}

/** Lines as bytes, about as many as are handed over at once; null at the end. */
async function readPiece(
  lines: AsyncGenerator<Record<string, unknown>>,
  encode: (line: Record<string, unknown>) => Uint8Array,
): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = [];
  for (let size = 0; size < PIECE_BYTES;) {
    const { value, done } = await lines.next();
    if (done === true) break;
    const bytes = encode(value);
    size += bytes.length;
    parts.push(bytes);
  }
  return parts.length === 0 ? null : joinBytes(parts);
}

const encoder = new TextEncoder();

/** The whole library, in dependency order; the reader then tails from its sequence. */
export function snapshotRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/v1/libraries/:library/snapshot", async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "reader" });
    const selection = selectionOf(c, service, library);
    const lines = readSnapshot(service.catalog, library.state.id, selection);
    const type =
      [MSGPACK, RECORDS_MSGPACK].find((one) => accepts(c.req.raw, one, RECORDS_NDJSON)) ??
      RECORDS_NDJSON;
    const encode = (line: Record<string, unknown>) => encoder.encode(`${JSON.stringify(line)}\n`);
    const next = () => readPiece(lines, type === RECORDS_NDJSON ? encode : pack);
    const leave = () => void lines.return(undefined);
    return respond(c.req.raw, createPacedBody({ next, leave }, service), {
      status: 200,
      headers: {
        "content-type": type,
        "cache-control": "no-store",
      },
    });
  });
}
