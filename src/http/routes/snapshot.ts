import { Hono } from "hono";
import { isId } from "../../base/id.ts";
import type { Library } from "../../library/library.ts";
import { readSnapshot } from "../../library/snapshot.ts";
import type { Selection } from "../../library/snapshot.ts";
import { SyncError } from "../../protocol/errors.ts";
import type { Service } from "../../service.ts";
import { pack } from "../../stream/codec.ts";
import { joinBytes } from "../../stream/frame.ts";
import { MSGPACK } from "../body.ts";
import { respond } from "../gzip.ts";
import { accepts } from "../media.ts";
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

/** Bytes that are encoded at once. */
const PIECE_BYTES = 65_536;

/** Lines as bytes, as fast as the reader takes them, who may not take none for long: the library is held. */
function toBody(
  lines: AsyncGenerator<Record<string, unknown>>,
  encode: (line: Record<string, unknown>) => Uint8Array,
  { clock, limits }: Service,
): ReadableStream<Uint8Array> {
  let stopWaiting = (): void => {};
  const leave = (): void => {
    stopWaiting();
    void lines.return(undefined);
  };
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      stopWaiting();
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
      if (isEnd) return controller.close();
      stopWaiting = clock.every(limits.slowReaderMs, () => {
        leave();
        controller.error(new Error("Nobody took what came next; go on with after_key."));
      });
    },
    cancel: leave,
  });
}

const encoder = new TextEncoder();

/** The whole library, in dependency order; the reader then tails from its sequence. */
export function snapshotRoutes(service: Service): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/v1/libraries/:library/snapshot", async (c) => {
    await authenticate(c, service);
    const library = await openFor(c, service, { role: "reader" });
    const selection = selectionOf(c, service, library);
    const lines = readSnapshot(service.catalog, library.state.id, selection);
    const isMsgpack = accepts(c.req.raw, MSGPACK, "application/x-ndjson");
    const encode = (line: Record<string, unknown>) => encoder.encode(`${JSON.stringify(line)}\n`);
    return respond(c.req.raw, toBody(lines, isMsgpack ? pack : encode, service), {
      status: 200,
      headers: {
        "content-type": isMsgpack ? MSGPACK : "application/x-ndjson",
        "cache-control": "no-store",
      },
    });
  });
}
