/** Holds answers against what OpenAPI says of their route. */
import { expect } from "bun:test";
import * as v from "valibot";
import { described } from "../../src/http/described.ts";
import { problemSchema } from "../../src/protocol/answers.ts";

const routes = Object.entries(described).map(([key, route]) => {
  const [method = "", path = ""] = key.split(" ");
  const pattern = path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+");
  return { method: method.toUpperCase(), pattern: new RegExp(`^${pattern}$`), route };
});

export interface Answered {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
}

/** @throws where an answer has other fields, or other values, than its schema says */
export function assertDescribed({ method, path, status, body }: Answered): void {
  // Each type's own routes answer as the general ones do.
  const general = path.replace(/\?.*/, "").replace(/\/resources\/\w+\/(commit|batch|bulk)$/, "/$1");
  const found = routes.find((one) => one.method === method && one.pattern.test(general));
  if (found === undefined || typeof body === "string") return;
  if (status >= 400) {
    expect(v.parse(problemSchema, body) as unknown).toEqual(body);
    return;
  }
  const schema = found.route.answers[status];
  if (schema === undefined)
    throw new Error(`${method} ${general} is not said to answer with ${status}.`);
  if (schema === null) expect(body).toBeNull();
  // What no schema names would be missing in what it gives.
  else expect(v.parse(schema, body)).toEqual(body);
}
