import { join } from "node:path";
import type { Pages } from "../demo.ts";

/** Nothing from elsewhere and nothing inline: an owner's token lives in this page. */
const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-cache",
};

async function buildScript(): Promise<Response> {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "page.ts")],
    target: "browser",
    minify: true,
  });
  const [script] = outputs;
  if (script === undefined) throw new Error("The inspector's script could not be built.");
  return new Response(await script.text(), {
    headers: { ...headers, "content-type": "text/javascript; charset=utf-8" },
  });
}

/** The inspector, at `/inspector`. The page is public; all it shows is asked for with a token. */
export function createInspector(): Pages {
  const file = (name: string): Promise<Response> =>
    Promise.resolve(new Response(Bun.file(join(import.meta.dir, name)), { headers }));
  let script: Promise<Response> | null = null;
  const served: Readonly<Record<string, () => Promise<Response>>> = {
    "/inspector": () => file("page.html"),
    "/inspector/page.css": () => file("page.css"),
    "/inspector/page.js": async () => (await (script ??= buildScript())).clone(),
  };
  return (request) =>
    request.method === "GET" ? (served[new URL(request.url).pathname]?.() ?? null) : null;
}
