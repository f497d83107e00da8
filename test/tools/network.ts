import { createApi, type Api } from "../../src/tools/api.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";

/** A request as the service would see it. */
export interface Seen {
  readonly url: URL;
  readonly headers: Headers;
  readonly method: string;
  readonly body: string;
}

/** One answer, or the error of a network that does not work. */
export type Answer = Response | Error | ((seen: Seen) => Response);

/** A service that gives the answers in their order, and a clock that waits for nothing. */
export function createNetwork(answers: readonly Answer[]): {
  api: Api;
  seen: Seen[];
  sleptMs: number[];
  clock: Clock;
} {
  const seen: Seen[] = [];
  const sleptMs: number[] = [];
  let nowMs = 0;
  const clock: Clock = {
    ...systemClock,
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: async (ms) => {
      sleptMs.push(ms);
      nowMs += ms;
    },
    every: () => () => {},
  };
  const api = createApi({
    url: "http://node.test/",
    token: async () => "t0k3n",
    clock,
    random: () => 1,
    fetch: async (url, init) => {
      const request = {
        url: new URL(url),
        headers: new Headers(init.headers),
        method: init.method ?? "GET",
        body: await new Response(init.body ?? "").text(),
      };
      const answer = answers[seen.push(request) - 1];
      if (answer === undefined) throw new Error("The test has no answer for this request.");
      if (answer instanceof Error) throw answer;
      return answer instanceof Response ? answer : answer(request);
    },
  });
  return { api, seen, sleptMs, clock };
}

/** A problem as the service sends it. */
export function problem(status: number, facts: object = {}, headers = {}): Response {
  const body = { type: "urn:syncline:error:x", title: "It failed", status, ...facts };
  return Response.json(body, { status, headers });
}
