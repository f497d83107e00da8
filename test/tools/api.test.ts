import { expect, test } from "bun:test";
import * as v from "valibot";
import { jsonBody } from "../../src/tools/api.ts";
import { describeProblem } from "../../src/tools/errors.ts";
import { backoffMs } from "../../src/base/backoff.ts";
import { retryAfterMs } from "../../src/tools/retry.ts";
import { createNetwork, problem } from "./network.ts";

const answer = v.object({ id: v.string() });

test("a request carries its token, its query and its body, and reads the answer", async () => {
  const { api, seen } = createNetwork([Response.json({ id: "1", more: true })]);
  const request = { ...jsonBody({ name: "Home" }), query: { limit: 5, after: undefined } };
  expect(await api.json("/v1/libraries", answer, request)).toEqual({ id: "1" });
  expect(seen[0]?.url.href).toBe("http://node.test/v1/libraries?limit=5");
  expect(seen[0]?.method).toBe("POST");
  expect(seen[0]?.headers.get("authorization")).toBe("Bearer t0k3n");
  expect(seen[0]?.headers.get("content-type")).toBe("application/json");
});

test("a busy service is asked again when it says, and the body goes with each attempt", async () => {
  const { api, sleptMs, seen } = createNetwork([
    problem(429, {}, { "retry-after": "2" }),
    problem(503, {}, { "retry-after": "1" }),
    Response.json({ id: "1" }),
  ]);
  expect(await api.json("/x", answer, jsonBody({}))).toEqual({ id: "1" });
  expect(sleptMs).toEqual([2_000, 1_000]);
  expect(seen).toHaveLength(3);
});

test("a service that stays busy is given up after five repetitions", async () => {
  const network = createNetwork(
    Array.from({ length: 9 }, () => problem(503, { code: "overloaded" })),
  );
  await expect(network.api.request("/x")).rejects.toMatchObject({
    problem: { code: "overloaded" },
  });
  expect(network.seen).toHaveLength(6);
});

test("a node that does not lead names the leader, which is asked instead, and from then on", async () => {
  const { api, seen } = createNetwork([
    problem(421, { leader_url: "http://leader.test/" }),
    Response.json({ id: "1" }),
    Response.json({ id: "2" }),
  ]);
  await api.json("/x", answer);
  await api.json("/y", answer);
  expect(seen.map(({ url }) => url.host)).toEqual(["node.test", "leader.test", "leader.test"]);
});

test("nodes that send each other the request in a circle are not followed for ever", async () => {
  const { api, seen } = createNetwork(
    Array.from({ length: 9 }, () => problem(421, { leader_url: "http://other.test" })),
  );
  await expect(api.request("/x")).rejects.toMatchObject({ problem: { status: 421 } });
  expect(seen).toHaveLength(3);
});

test("a service that is not there is one sentence that says what to do", async () => {
  const { api } = createNetwork([new Error("ECONNREFUSED")]);
  await expect(api.request("/x")).rejects.toThrow(
    "The service at http://node.test cannot be reached (ECONNREFUSED); start one with",
  );
});

test("an answer that is no problem, from a proxy perhaps, still makes a sentence", async () => {
  const { api } = createNetwork([new Response("<h1>Bad\n gateway</h1>", { status: 502 })]);
  await expect(api.request("/x")).rejects.toThrow("The service answered 502: <h1>Bad gateway</h1>");
});

test("an answer that is not what it should be is not passed on", async () => {
  const { api } = createNetwork([new Response("hello")]);
  await expect(api.json("/x", answer)).rejects.toThrow(
    "is not what this version of syncline expects",
  );
});

test("a problem is told with title, detail, code and issues", () => {
  const issues = [
    { path: "name", message: "Too long" },
    { path: "", message: "No" },
  ];
  const told = describeProblem({ title: "Not valid", detail: "Look", code: "c", index: 4, issues });
  expect(told).toBe("Not valid: Look (c; index 4; name: Too long; No)");
  expect(describeProblem("nothing")).toBe("an answer that is no problem document");
});

test("the wait doubles up to half a minute, and half of it is chance", () => {
  expect([0, 1, 2, 20].map((attempt) => backoffMs(attempt, 1))).toEqual([
    500, 1_000, 2_000, 30_000,
  ]);
  expect(backoffMs(2, 0)).toBe(1_000);
});

test("Retry-After is read as seconds or as a date", () => {
  expect(retryAfterMs("3", 0)).toBe(3_000);
  expect(retryAfterMs("Thu, 01 Jan 1970 00:00:10 GMT", 4_000)).toBe(6_000);
  expect([retryAfterMs(null, 0), retryAfterMs("soon", 0)]).toEqual([null, null]);
});
