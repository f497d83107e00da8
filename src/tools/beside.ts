import type { Api } from "./api.ts";
import { findOrCreate } from "./connect.ts";
import { CommandError } from "./errors.ts";

export interface Beside {
  /** The service, as its owner sees it. */
  readonly api: Api;
  /** The name of the library that the program works on; made if there is none. */
  readonly library: string;
  /** What the program gets. */
  readonly token: string;
}

/**
 * Starts a program that finds the service, a library and a token in its environment: as SYNCLINE_URL,
 * SYNCLINE_LIBRARY and SYNCLINE_TOKEN, and each with VITE_ before it, which Vite shows to the page. It
 * ends with this process. @throws CommandError when there is no such program
 */
export async function startBeside(command: readonly string[], { api, library, token }: Beside) {
  const [program = ""] = command;
  if (Bun.which(program) === null)
    throw new CommandError(`There is no ${program} here; \`npm install\` may bring it.`);
  const { id } = await findOrCreate(api, { name: library });
  const names = { SYNCLINE_URL: api.url, SYNCLINE_LIBRARY: id, SYNCLINE_TOKEN: token };
  const shown = Object.entries(names).map(([name, value]) => [`VITE_${name}`, value]);
  const env = { ...process.env, ...names, ...Object.fromEntries(shown) };
  const child = Bun.spawn([...command], { env, stdio: ["inherit", "inherit", "inherit"] });
  process.on("exit", () => child.kill());
  return child;
}
