import { renameKeys, toCamelCase } from "../base/case.ts";
import type { Clock } from "../base/clock.ts";
import type { ErrorCode, Retry } from "../protocol/errors.ts";
import { inTime, patienceMs } from "./in-time.ts";
import { isFields } from "./wire.ts";

/** Why something did not happen: the service's problem, or that it could not be asked. */
export interface ClientProblem {
  readonly code: ErrorCode | "unreachable" | "unreadable" | "storage_failed" | "closed";
  readonly status: number;
  readonly detail: string;
  readonly retry: Retry;
  /** Milliseconds to wait, when the service said so. */
  readonly retryAfterMs?: number | undefined;
  readonly [fact: string]: unknown;
}

/** A rejection of the public API: an Error that carries its problem. */
export interface ClientError extends Error {
  readonly problem: ClientProblem;
}

export function toError(problem: ClientProblem): ClientError {
  return Object.assign(new Error(problem.detail), { name: "ClientError", problem });
}

/** What a rejection carries, else `otherwise`. */
export function problemIn(error: unknown, otherwise: ClientProblem): ClientProblem {
  return (Object(error) as Partial<ClientError>).problem ?? otherwise;
}

/** A token, or where to get one; asked again when the service refuses it. */
export type TokenSource = string | (() => string | Promise<string>);

/** One request below the library's path. Fails with a `ClientError`; a refused token is renewed once. */
export interface Transport {
  readonly send: (path: string, request?: TransportRequest) => Promise<Response>;
  /** The same, read as JSON. */
  readonly json: (
    path: string,
    request?: TransportRequest,
  ) => Promise<Readonly<Record<string, unknown>>>;
  /** Answers whether it is known to be another one. */
  setToken(token: TokenSource): boolean;
}

export interface TransportRequest {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

export interface TransportOptions {
  readonly url: string;
  readonly library: string;
  readonly token: TokenSource;
  readonly deviceId?: string | undefined;
  readonly clock: Pick<Clock, "every">;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** Its message; its name when it has none, as a full disk's. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error && error.message) || String(error);

/** A problem that is not the service's own. */
export function problemOf(
  code: ClientProblem["code"],
  detail: string,
  retry: Retry = "later",
): ClientProblem {
  return { code, status: 0, detail, retry };
}

/**
 * What the service says, or that something else answered: a portal, a proxy. That decides nothing,
 * unless no other answer can be had for what is too large.
 */
async function toProblem(response: Response): Promise<ClientProblem> {
  const { headers, status } = response;
  const body: unknown = await response.json().catch(() => null);
  const detail = `The service cannot be reached (something else answered ${status}).`;
  return {
    ...(isFields(body) && "retry" in body
      ? { ...(renameKeys(body, toCamelCase) as ClientProblem), status }
      : problemOf("unreachable", detail, status === 413 ? "never" : "later")),
    retryAfterMs: Number(headers.get("retry-after")) * 1_000 || undefined,
  };
}

/** Many requests wait for it, so that one that never comes would stop them all. */
async function readToken(source: TokenSource, clock: Pick<Clock, "every">): Promise<string> {
  return inTime(clock, typeof source === "function" ? source() : source);
}

export function createTransport(options: TransportOptions): Transport {
  const base = `${options.url.replace(/\/+$/, "")}/v1/libraries/${options.library}/`;
  const { deviceId } = options;
  const device: Record<string, string> = deviceId === undefined ? {} : { "x-device-id": deviceId };
  let { token } = options;
  let known: Promise<string> | null = null;

  const attempt = async (path: string, request: TransportRequest): Promise<Response> => {
    known ??= readToken(token, options.clock).catch((error: unknown) => {
      // A source that failed is asked again.
      known = null;
      throw error;
    });
    const bearer: unknown = await known;
    if (typeof bearer !== "string") {
      // As a service answers: the source is asked again, then the client waits for another.
      const detail = `The token is ${typeof bearer}, not a string: call setToken.`;
      return new Response(JSON.stringify({ code: "unauthorized", retry: "never", detail }), {
        status: 401,
      });
    }
    const { body, query = {}, signal, accept = "application/json" } = request;
    const asked = new URLSearchParams();
    for (const name in query) if (query[name] !== undefined) asked.set(name, String(query[name]));
    return options.fetch(`${base}${path}?${asked}`.replace(/\?$/, ""), {
      method: body === undefined ? "GET" : "POST",
      headers: {
        accept,
        authorization: `Bearer ${bearer}`,
        "content-type": "application/json",
        ...device,
      },
      // Of undefined this is undefined: no body.
      body: JSON.stringify(body),
      signal: signal ?? AbortSignal.timeout(patienceMs),
    });
  };

  const renewed = async (path: string, request: TransportRequest): Promise<Response> => {
    const response = await attempt(path, request);
    if (response.status !== 401 || typeof token === "string") return response;
    known = null;
    void response.body?.cancel();
    return attempt(path, request);
  };

  const send: Transport["send"] = async (path, request = {}) => {
    const response = await renewed(path, request).catch((error: unknown) => {
      const detail = `The service cannot be reached (${reasonOf(error)}).`;
      throw toError(problemOf("unreachable", detail));
    });
    if (response.ok) return response;
    throw toError(await toProblem(response));
  };

  return {
    send,
    json: async (path, request) => {
      const response = await send(path, request);
      const body: unknown = await response.json().catch(reasonOf);
      if (isFields(body)) return body;
      // Cut in the middle, perhaps: nobody knows whether it happened, so it is asked again.
      const detail = `The answer is not what this version expects (${String(body)}).`;
      throw toError(problemOf("unreadable", detail));
    },
    setToken: (next) => {
      const isOther = typeof next === "string" && next !== token;
      token = next;
      known = null;
      return isOther;
    },
  };
}
