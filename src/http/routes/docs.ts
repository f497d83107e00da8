import { Hono } from "hono";
import { html } from "hono/html";
import type { AppEnv } from "../context.ts";
import { MSGPACK } from "../media.ts";
import { describeApi } from "../openapi.ts";
import type { Service } from "../../service.ts";

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>;
}

interface Route {
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

interface Documented {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Route>>>>;
}

const style = `body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code,pre{font:13px/1.5 ui-monospace,monospace}details{border-bottom:1px solid #8884;padding:.4rem 0}
summary{cursor:pointer}b{display:inline-block;width:4.5rem;text-transform:uppercase}pre{overflow:auto}`;

/** What a route takes and gives, part by part; every route may answer with a problem. */
function partsOf({ parameters, requestBody, responses }: Route) {
  const shapeOf = ({ content = {} }: Content): readonly unknown[] =>
    Object.entries(content)
      // The same once more, where JSON is there.
      .filter(([media]) => media !== MSGPACK || !("application/json" in content))
      .map(([media, { schema }]) => ({ [media]: schema ?? "a stream" }));
  const asked = parameters.filter((parameter) => parameter.in !== "path");
  return [
    ...(asked.length === 0 ? [] : [{ title: "Query and headers", shapes: asked }]),
    ...(requestBody === undefined ? [] : [{ title: "Body", shapes: shapeOf(requestBody) }]),
    ...Object.entries(responses)
      .filter(([status]) => status !== "default")
      .map(([status, content]) => ({ title: `Answer ${status}`, shapes: shapeOf(content) })),
  ];
}

/** `GET /openapi.json`, and the same as a page that needs no script and nothing from elsewhere. */
export function docsRoutes(service: Service, app: Hono<AppEnv>): Hono<AppEnv> {
  let made: Record<string, unknown> | null = null;
  const document = () => (made ??= describeApi(service.registry, app.routes));
  return new Hono<AppEnv>()
    .get("/openapi.json", (c) => c.json(document()))
    .get("/docs", (c) => {
      const { paths } = document() as unknown as Documented;
      const routes = Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, route]) => ({ path, method, route })),
      );
      c.header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
      return c.html(
        html`<!doctype html>
          <html lang="en">
            <meta charset="utf-8" />
            <meta name="viewport" content="width=device-width" />
            <title>Syncline</title>
            <style>
              ${style}
            </style>
            <h1>Syncline</h1>
            <p>All of it for machines: <a href="/openapi.json">openapi.json</a>.</p>
            ${routes.map(
              ({ path, method, route }) =>
                html`<details>
                  <summary><b>${method}</b> <code>${path}</code> ${route.summary}</summary>
                  ${partsOf(route).map(
                    ({ title, shapes }) =>
                      html`<h4>${title}</h4>
                        ${shapes.length === 0 ? "Nothing." : ""}
                        ${shapes.map((shape) => html`<pre>${JSON.stringify(shape, null, 2)}</pre>`)}`,
                  )}
                </details>`,
            )}
          </html>`,
      );
    });
}
