import { Hono } from "hono";
import { html } from "hono/html";
import type { AppEnv } from "../context.ts";
import { describeApi } from "../openapi.ts";
import type { Service } from "../../service.ts";

interface Documented {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly summary: string; readonly requestBody?: unknown }>>
    >
  >;
}

const style = `body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code,pre{font:13px/1.5 ui-monospace,monospace}details{border-bottom:1px solid #8884;padding:.4rem 0}
summary{cursor:pointer}b{display:inline-block;width:4.5rem;text-transform:uppercase}pre{overflow:auto}`;

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
                  <pre>${JSON.stringify(route.requestBody ?? "No body.", null, 2)}</pre>
                </details>`,
            )}
          </html>`,
      );
    });
}
