import { expect, test } from "bun:test";
import { createNamespaces, readDatabaseUrl, withoutToken } from "../../src/runtime/database-url.ts";
import { readConfig } from "../../src/runtime/config.ts";

test("a template names each database, a plain URL one, a map each by name with * for the rest", () => {
  expect(readDatabaseUrl("file:./data/{database}.db")("a")).toBe("file:./data/a.db");
  expect(readDatabaseUrl("file:./only.db")("a")).toBe("file:./only.db");
  const map = JSON.stringify({ catalog: "http://one:8080", "*": "http://{database}.two:8080" });
  expect(readDatabaseUrl(map)("catalog")).toBe("http://one:8080");
  expect(readDatabaseUrl(map)("a")).toBe("http://a.two:8080");
  expect(() => readDatabaseUrl('{"catalog":"http://one"}')("a")).toThrow('no entry for "a"');
});

test("a wrong map of databases stops the start with a sentence", () => {
  for (const value of ["{", '{"catalog":7}', '{"catalog":"mysql://x"}', "[]"]) {
    expect(() => readConfig({ DATABASE_URL: value })).toThrow("DATABASE_URL is");
  }
  const map = '{"catalog":"http://127.0.0.1:8080"}';
  expect(readConfig({ DATABASE_URL: map }).DATABASE_URL).toBe(map);
});

test("a token in a URL of a database is not said", () => {
  const url = "libsql://{database}.example?authToken=abc.def&tls=1";
  expect(withoutToken(url)).toBe("libsql://{database}.example?authToken=…&tls=1");
  expect(() => readConfig({ DATABASE_URL: "mysql://x?authToken=abc" })).not.toThrow("abc");
  expect(() => readConfig({ DATABASE_URL: "mysql://x?authToken=abc" })).toThrow("authToken=…");
});

test("namespaces are created once and dropped once, whoever was first", async () => {
  const asked: string[] = [];
  const answers = [
    new Response("", { status: 200 }),
    new Response('{"error":"Namespace `a` already exists"}', { status: 400 }),
    new Response("", { status: 404 }),
    new Response("full", { status: 500 }),
  ];
  const namespaces = createNamespaces({
    adminUrl: "http://admin:1/",
    fetch: Object.assign(
      async (input: URL | RequestInfo, init?: RequestInit) => {
        asked.push(`${init?.method} ${input instanceof Request ? input.url : String(input)}`);
        return answers.shift() ?? Response.error();
      },
      { preconnect: () => {} },
    ),
  });
  await namespaces.create("a");
  await namespaces.create("a");
  await namespaces.drop("a");
  await expect(namespaces.create("b")).rejects.toThrow("500 full");
  expect(asked).toEqual([
    "POST http://admin:1/v1/namespaces/a/create",
    "POST http://admin:1/v1/namespaces/a/create",
    "DELETE http://admin:1/v1/namespaces/a",
    "POST http://admin:1/v1/namespaces/b/create",
  ]);
});
