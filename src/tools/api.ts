import * as v from "valibot";
import { reasonOf } from "../base/reason.ts";
import { backoffMs } from "../base/backoff.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { ApiError, CommandError, parseProblem, readJson } from "./errors.ts";
import { retryAfterMs } from "./retry.ts";

/** Where the service is and how to speak to it. Tests pass their own `fetch`, `clock` and `random`. */
export interface ApiOptions {
  readonly url: string;
  /** Asked before each request, so that a long command can renew what expires. */
  readonly token: () => Promise<string>;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** One request. `body` is called for each attempt, because a stream can be sent only once. */
export interface ApiRequest {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => BodyInit;
  readonly signal?: AbortSignal;
}

/** A service, as the commands see it. */
export interface Api {
  readonly url: string;
  /**
   * Resolves to an answer with a status below 400. Repeats what was refused with 429 or 503 up to
   * five times, when `Retry-After` says, and asks the leader when the node is not.
   * @throws ApiError, CommandError when nobody answers
   */
  request(path: string, request?: ApiRequest): Promise<Response>;
  /** Sends and reads JSON, and holds the answer to `schema`. */
  json<Schema extends v.GenericSchema>(
    path: string,
    schema: Schema,
    request?: ApiRequest,
  ): Promise<v.InferOutput<Schema>>;
}

const attemptsMax = 5;
const leaderHopsMax = 2;
const waitMsMax = 60_000;

/** Makes the client. Nothing is sent before the first request. */
export function createApi(options: ApiOptions): Api {
  const { clock = systemClock, random = Math.random } = options;
  let base = options.url.replace(/\/+$/, "");

  const request = async (path: string, request: ApiRequest = {}): Promise<Response> => {
    let leaderHops = 0;
    for (let attempt = 0; ;) {
      const response = await send(options, base + path + toQuery(request.query), request);
      if (response.status < 400) return response;
      const problem = parseProblem(response.status, await response.text());
      if (response.status === 421 && problem.leader_url && leaderHops < leaderHopsMax) {
        leaderHops += 1;
        base = problem.leader_url.replace(/\/+$/, "");
        continue;
      }
      if ((response.status !== 429 && response.status !== 503) || attempt >= attemptsMax) {
        throw new ApiError(problem);
      }
      const askedMs = retryAfterMs(response.headers.get("retry-after"), clock.now());
      await clock.sleep(Math.min(waitMsMax, askedMs ?? backoffMs(attempt, random())));
      attempt += 1;
    }
  };

  return {
    url: base,
    request,
    json: async (path, schema, init = {}) => {
      const response = await request(path, init);
      const text = await response.text();
      const parsed = v.safeParse(schema, readJson(text));
      if (parsed.success) return parsed.output;
      const [issue] = parsed.issues;
      throw new CommandError(
        `The answer to ${path} is not what this version of syncline expects: ${issue.message}`,
      );
    },
  };
}

/** The parts of a request that carry `value` as JSON. */
export function jsonBody(value: unknown): Pick<ApiRequest, "method" | "headers" | "body"> {
  const text = JSON.stringify(value);
  return { method: "POST", headers: { "content-type": "application/json" }, body: () => text };
}

async function send(options: ApiOptions, url: string, request: ApiRequest): Promise<Response> {
  const fetchIt = options.fetch ?? ((to: string, init: RequestInit) => fetch(to, init));
  const headers = new Headers({ accept: "application/json", ...request.headers });
  headers.set("authorization", `Bearer ${await options.token()}`);
  const init: RequestInit = {
    method: request.method ?? "GET",
    headers,
    ...(request.body === undefined ? {} : { body: request.body() }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  };
  try {
    return await fetchIt(url, init);
  } catch (error) {
    if (request.signal?.aborted === true || error instanceof CommandError) throw error;
    throw new CommandError(
      `The service at ${new URL(url).origin} cannot be reached (${reasonOf(error)}); ` +
        "start one with `syncline dev`, or name another with --url.",
      { cause: error },
    );
  }
}

function toQuery(query: ApiRequest["query"]): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
