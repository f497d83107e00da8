/** What headers say of bodies. Names of types and of encodings have no case (RFC 9110). */

export const MSGPACK = "application/msgpack";
export const RECORDS_MSGPACK = "application/vnd.syncline.records+msgpack";
export const RECORDS_NDJSON = "application/x-ndjson";
export const EVENTS_MSGPACK = "application/vnd.syncline.events+msgpack";

/** The type a body is sent in, without its parameters; null where none is named. */
export function mediaTypeOf(request: Request): string | null {
  const named = request.headers.get("content-type");
  return named === null ? null : (named.split(";")[0] ?? "").trim().toLowerCase();
}

export function encodingOf(request: Request): string {
  return (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
}

/** How much the caller wants `type` by its own name, from 0 to 1. */
function qualityOf(accepted: string, type: string): number {
  const named = accepted.split(",").find((one) => one.split(";")[0]?.trim() === type);
  if (named === undefined) return 0;
  const quality = /;\s*q=([\d.]+)/.exec(named)?.[1];
  return quality === undefined ? 1 : Number(quality);
}

/** Whether the caller names `type`, and wants it no less than `usual`, which it gets otherwise. */
export function accepts(request: Request, type: string, usual = "application/json"): boolean {
  const accepted = request.headers.get("accept")?.toLowerCase() ?? "";
  if (!accepted.includes(type)) return false;
  const quality = qualityOf(accepted, type);
  return quality > 0 && quality >= qualityOf(accepted, usual);
}
