import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { SERVICE_WIDE, type Role } from "../../auth/capability.ts";
import { mintToken } from "../../auth/token.ts";
import { createId } from "../../base/id.ts";
import type { Routes } from "../../routes.ts";
import { createApi } from "../api.ts";
import type { Pages } from "../demo.ts";
import { CommandError } from "../errors.ts";
import { writeLine } from "../output.ts";

const daySeconds = 86_400;

/** Adds `dev` and `start`. The service is loaded only here, so that other commands start fast. */
export function addServe(program: Command): void {
  program
    .command("dev")
    .description("run the service for development, and show how to try it")
    .argument(
      "[command...]",
      "what to run beside it, as in: syncline dev -- vite. It finds the service, a library and a token in its environment",
    )
    .option("--library <name>", "the library of that command", basename(resolve()))
    .action(develop);
  program
    .command("start")
    .description("run the service in production; settings come from the environment")
    .action(async () => {
      const { loadApplication, serve, stopOnSignal } = await import("../../runtime/bun.ts");
      const { createInspector } = await import("../inspector/pages.ts");
      const { plugins, routes } = await loadApplication();
      const beside = joinPages([createInspector()], routes);
      const application = { plugins, routes: beside };
      const running = await serve({ mode: "production", env: process.env, application });
      stopOnSignal(running);
      writeLine(`Syncline listens at ${running.url}`);
    });
}

/** The pages of the command line, and what the application answers where none of them does. */
const joinPages =
  (pages: readonly Pages[], routes: Routes | undefined): Routes =>
  (host) => {
    const own = routes?.(host);
    const find = (request: Request) => {
      for (const page of pages) {
        const answer = page(request);
        if (answer !== null) return answer;
      }
      return own?.fetch(request) ?? null;
    };
    return { fetch: find };
  };

async function develop(command: string[], { library }: { library: string }): Promise<void> {
  const { loadApplication, serve, stopOnSignal } = await import("../../runtime/bun.ts");
  const { createDemo, isDemoHere } = await import("../demo.ts");
  const { createInspector } = await import("../inspector/pages.ts");
  const { plugins, routes } = await loadApplication();
  // The demonstration and the first steps are about the bundled plugins.
  const hasAlbums = plugins.some(({ name }) => name === "album");
  const hasDemo = hasAlbums && isDemoHere();
  const pages = hasDemo ? [createInspector(), createDemo()] : [createInspector()];
  const isBeside = command.length > 0;
  // A page of another port may ask: for each thing but its own health the service wants a token.
  const env = isBeside ? { CORS_ORIGINS: "*", ...process.env } : process.env;
  const application = { plugins, routes: joinPages(pages, routes) };
  const running = await serve({ mode: "development", env, application });
  stopOnSignal(running);
  const { url, dataDir, secret } = running;
  const mint = (role: Role, days = 1) =>
    mintToken({
      secret: secret ?? "",
      subject: "developer",
      grants: [{ library: SERVICE_WIDE, role }],
      ttlSeconds: days * daySeconds,
    });
  const token = secret === null ? null : await mint("owner");
  if (!isBeside) return writeLine(formatWelcome({ url, dataDir, token, hasAlbums, hasDemo }));
  if (token === null)
    throw new CommandError("A command beside the service needs a token: set SYNCLINE_SECRET.");
  const { startBeside } = await import("../beside.ts");
  const api = createApi({ url, token: async () => token });
  // The program cannot get another, and people leave it running over night.
  const child = await startBeside(command, { api, library, token: await mint("writer", 365) });
  writeLine(`Syncline listens at ${url}\nIts inspector: ${url}/inspector#token=${token}`);
  const code = await child.exited;
  await running.stop();
  process.exit(child.signalCode === null ? code : 0);
}

/** What `dev` has to tell. Without a secret nothing can be minted: the tokens come from elsewhere. */
export interface Welcome {
  readonly url: string;
  readonly dataDir: string | null;
  readonly token: string | null;
  /** Whether the bundled plugins are there, which the example needs. */
  readonly hasAlbums: boolean;
  readonly hasDemo: boolean;
}

/** The greeting of `dev`: lines that can be pasted as they are. */
export function formatWelcome(welcome: Welcome): string {
  const { url, dataDir, token, hasAlbums, hasDemo } = welcome;
  const album = `{"resource_type":"album","operation":"upsert","id":"${createId()}","data":{"name":"Iceland"}}`;
  // A fragment stays in the browser: it is in no request, and so in no log.
  const pages =
    token === null
      ? ""
      : `\n${hasDemo ? `  Open the demonstration: ${url}/#token=${token}\n` : ""}  Open the inspector:     ${url}/inspector#token=${token}\n\n`;
  const commit = hasAlbums
    ? `
  # Commit an album:
  curl -s ${url}/v1/libraries/$LIBRARY/commit -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" -d '${album}'
`
    : "";
  return `Syncline listens at ${url}
${pages}${dataDir === null ? "" : `Its data lies in ${dataDir}\n`}Read about every route at ${url}/docs

  # ${token === null ? "A token that your issuer signed:" : "An owner's token, good for one day:"}
  export TOKEN=${token ?? "..."}

  # Create a library:
  export LIBRARY=$(curl -s ${url}/v1/libraries -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" -d '{"name":"Home"}' | grep -o '"id": *"[^"]*"' | head -1 | cut -d'"' -f4)

  # Watch its events, in another terminal with the same two variables:
  curl -N "${url}/v1/libraries/$LIBRARY/events?encoding=json" \\
    -H "Authorization: Bearer $TOKEN" -H "Accept: text/event-stream"
${commit}`;
}
