/** Bytes below which compressing costs more than it saves. */
const GZIP_MIN = 1_024;

/** What an answer depends on, for who keeps it: the same record is other bytes as msgpack. */
export const VARY = "accept, accept-encoding";

/** Whether the caller takes gzip, and does not rule it out by `q=0`. */
function acceptsGzip(request: Request): boolean {
  const accepted = request.headers.get("accept-encoding") ?? "";
  return /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(accepted);
}

function toStream(body: string | Uint8Array | ReadableStream<Uint8Array>) {
  if (body instanceof ReadableStream) return body;
  return new Blob([body as BlobPart]).stream() as ReadableStream<Uint8Array>;
}

/** A response as gzip, piece by piece, if the caller takes it and the body is worth it. */
export function respond(
  request: Request,
  body: string | Uint8Array | ReadableStream<Uint8Array>,
  init: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
): Response {
  const headers = { ...init.headers, vary: VARY };
  const isSmall = !(body instanceof ReadableStream) && body.length < GZIP_MIN;
  if (isSmall || !acceptsGzip(request)) return new Response(body as BodyInit, { ...init, headers });
  // The declarations of the stream's writable side are wider than what it takes.
  const gzip = new CompressionStream("gzip") as unknown as TransformStream<Uint8Array, Uint8Array>;
  const packed: ResponseInit & { encodeBody: "manual" } = {
    status: init.status,
    headers: { ...headers, "content-encoding": "gzip" },
    // Cloudflare would compress it once more.
    encodeBody: "manual",
  };
  return new Response(toStream(body).pipeThrough(gzip), packed);
}
