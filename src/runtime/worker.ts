import { createId, isId } from "../base/id.ts";
import { readBody } from "../http/body.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { WorkerEnv } from "./durable-object.ts";

export { LibraryObject } from "./durable-object.ts";

/** The object that answers what concerns no single library. */
const CATALOG = "catalog";

/** Creating a library is its own object's work, so that this object leads it from the start. */
async function readCreation(request: Request): Promise<{ id: string; request: Request } | null> {
  const { bodyBytes, nestingDepth } = defaultLimits;
  try {
    const body = await readBody(request.clone(), { bytes: bodyBytes, depth: nestingDepth });
    const { id = createId() } = body as { id?: unknown };
    if (!isId(id)) return null;
    const headers = new Headers(request.headers);
    headers.set("content-type", "application/json");
    headers.delete("content-length");
    const named = JSON.stringify({ ...(body as object), id });
    return { id, request: new Request(request.url, { method: "POST", headers, body: named }) };
  } catch {
    // The catalog's object reads it again, and says what is wrong.
    return null;
  }
}

/** To follow a library is its own object's work too. Null for a body that names none. */
async function readFollowed(request: Request): Promise<string | null> {
  const { bodyBytes, nestingDepth } = defaultLimits;
  const limits = { bytes: bodyBytes, depth: nestingDepth };
  const body = await readBody(request.clone(), limits).catch(() => null);
  const { library_id: id = null } = (body ?? {}) as { library_id?: unknown };
  return isId(id) ? id.toLowerCase() : null;
}

/** The Worker: finds the object of the library that a request names. */
export default {
  async fetch(request: Request, env: WorkerEnv): Promise<Response> {
    const { pathname } = new URL(request.url);
    const objectOf = (name: string) => env.LIBRARIES.get(env.LIBRARIES.idFromName(name));
    const library = /^\/v1\/libraries\/([^/]+)/.exec(pathname)?.[1]?.toLowerCase();
    // A name that is no id cannot have a library; it must not make an object either.
    if (library !== undefined) return objectOf(isId(library) ? library : CATALOG).fetch(request);
    if (request.method === "POST" && pathname === "/v1/libraries") {
      const creation = await readCreation(request);
      if (creation !== null) return objectOf(creation.id.toLowerCase()).fetch(creation.request);
    }
    if (request.method === "POST" && pathname === "/v1/following")
      return objectOf((await readFollowed(request)) ?? CATALOG).fetch(request);
    return objectOf(CATALOG).fetch(request);
  },
};
