/**
 * The demonstration, at `/` of a service in development. Built by Vite when somebody first asks for it
 * or its sources have changed; the page is public, what it shows needs a token.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");
const source = join(root, "examples/photos");
const built = join(root, ".cache/photos");
const vite = join(root, "node_modules/vite/bin/vite.js");

/** False where the package was installed without its development dependencies. */
export const isDemoHere = (): boolean => existsSync(vite) && existsSync(source);

/** Bun's globs find nothing by braces with slashes in them, so each folder is looked through by itself. */
const sources = ["examples/photos", "examples/notes/public", "plugins/rules"].concat(
  ["base", "client", "protocol", "resource"].map((name) => `src/${name}`),
);

/** Nothing from elsewhere, no inline script, no frame: a token lives in this page. */
const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** A page, or null for what is none of the demonstration's business. */
export type Pages = (request: Request) => Promise<Response> | null;

async function changedAtMs(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

async function isBuilt(): Promise<boolean> {
  const builtAtMs = await changedAtMs(join(built, "index.html"));
  if (builtAtMs === 0) return false;
  for (const folder of sources) {
    for await (const file of new Bun.Glob("**/*").scan(join(root, folder))) {
      if ((await changedAtMs(join(root, folder, file))) > builtAtMs) return false;
    }
  }
  return true;
}

async function build(): Promise<void> {
  const run = Bun.spawn([process.execPath, vite, "build", source, "--logLevel", "error"], {
    cwd: root,
    // Whatever this process is: Vite would build for it, without the service worker.
    env: { ...process.env, NODE_ENV: "production" },
    stdout: "ignore",
    stderr: "pipe",
  });
  if ((await run.exited) !== 0) throw new Error(await new Response(run.stderr).text());
}

export function createDemo(): Pages {
  let building: Promise<void> | null = null;
  const ready = async (): Promise<void> => {
    if (await isBuilt()) return;
    building ??= build().finally(() => (building = null));
    await building;
  };
  const page = async (): Promise<Response> => {
    try {
      await ready();
      const file = Bun.file(join(built, "index.html"));
      return new Response(file, { headers: { ...headers, "cache-control": "no-cache" } });
    } catch (error) {
      const text = `The demonstration could not be built; \`npm run setup\` may help.\n\n${String(error)}`;
      return new Response(text, { status: 503, headers: { "content-type": "text/plain" } });
    }
  };
  const asset = async (name: string): Promise<Response> => {
    const file = Bun.file(join(built, "assets", name));
    if (!(await file.exists())) return new Response("Not found.", { status: 404 });
    const forever = "public, max-age=31536000, immutable";
    return new Response(file, { headers: { ...headers, "cache-control": forever } });
  };
  const worker = async (): Promise<Response> => {
    const file = Bun.file(join(built, "sw.js"));
    return new Response(file, { headers: { ...headers, "cache-control": "no-cache" } });
  };
  return (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") return null;
    const { pathname } = new URL(request.url);
    if (pathname === "/") return page();
    if (pathname === "/sw.js") return worker();
    const [, name] = /^\/assets\/([\w.-]+)$/.exec(pathname) ?? [];
    return name === undefined ? null : asset(name);
  };
}
