import { Packr, Unpackr } from "msgpackr";
import { createId } from "../../../src/base/id.ts";
import type { Grant } from "../../../src/auth/capability.ts";
import { assertDescribed } from "../../support/described.ts";

/** A running service, as a stranger knows it. */
export interface Target {
  readonly url: string;
  readonly ownerToken: string;
  /** Signs a token of less power; the service's operator can always do that. */
  readonly tokenFor: (grants: readonly Grant[], ttlSeconds?: number) => Promise<string>;
}

export interface Ask {
  /** An object is sent as JSON; bytes and text as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
  readonly body: any;
}

export const MSGPACK = "application/msgpack";
export const packr = new Packr({ useRecords: false, variableMapSize: true });
export const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });

/** Reads a body by its own content type. */
async function readAnswer(response: Response): Promise<Answer["body"]> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length === 0) return null;
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith(MSGPACK)) return unpackr.unpack(bytes);
  const text = new TextDecoder().decode(bytes);
  return /^application\/(problem\+)?json/.test(type) ? JSON.parse(text) : text;
}

/** One library of a running service, and what a person's client can do with it. */
export async function createLibrary(target: Target) {
  const fetchFrom = (method: string, path: string, ask: Ask = {}): Promise<Response> => {
    const { body, token = target.ownerToken } = ask;
    const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array;
    return fetch(target.url + path, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...ask.headers,
      },
      ...(body === undefined ? {} : { body: (isRaw ? body : JSON.stringify(body)) as BodyInit }),
    });
  };
  const api = async (method: string, path: string, ask?: Ask): Promise<Answer> => {
    const response = await fetchFrom(method, path, ask);
    const { status, headers } = response;
    const body = await readAnswer(response);
    assertDescribed({ method, path, status, body });
    return { status, headers, body };
  };
  const created = await api("POST", "/v1/libraries", { body: { name: "home" } });
  if (created.status !== 201) throw new Error(`No library: ${JSON.stringify(created.body)}`);
  const id = created.body.id as string;
  const at = `/v1/libraries/${id}`;
  const send = (method: string, path: string, ask?: Ask) => api(method, at + path, ask);
  const commit = (change: object, ask: Ask = {}) =>
    send("POST", "/commit", { ...ask, body: change });
  return {
    target,
    id,
    at,
    created,
    api,
    send,
    commit,
    fetch: (method: string, path: string, ask?: Ask) => fetchFrom(method, at + path, ask),
    insert: (type: string, data: object, more: { id?: string; mutation_id?: string } = {}) =>
      commit({ resource_type: type, operation: "insert", id: createId(), data, ...more }),
    album: (name: string, albumId: string = createId()) =>
      commit({ resource_type: "album", operation: "insert", id: albumId, data: { name } }),
    head: async () => (await api("GET", at)).body.head as number,
  };
}

export type Library = Awaited<ReturnType<typeof createLibrary>>;

/** What every topic of the suite receives: a library of its own, made when the first test asks. */
export type Topic = (library: () => Promise<Library>) => void;

/** The members that every problem has (RFC 9457), for `toMatchObject`. */
export function problem(status: number, code: string, facts: object = {}): object {
  return { status, body: { type: `urn:syncline:error:${code}`, status, code, ...facts } };
}

/** A body in pieces, so that it arrives chunked and with no declared length. */
export function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}
