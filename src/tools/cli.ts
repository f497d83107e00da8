#!/usr/bin/env bun
import { Command, Option } from "commander";
import { mintToken } from "../auth/token.ts";
import { systemClock } from "../base/clock.ts";
import { openNode } from "../runtime/node-identity.ts";
import { listLibraries, createLibrary } from "./libraries.ts";
import { tail } from "./tail.ts";
import { parseTtl } from "./ttl.ts";

const env = process.env;

async function secretOf(): Promise<string> {
  const { secret } = await openNode(env);
  if (secret !== null) return secret;
  throw new Error("Set SYNCLINE_SECRET: this database is not a folder that could keep one.");
}

interface TokenOptions {
  readonly role: "reader" | "writer" | "owner";
  readonly library: string;
  readonly types?: string;
  readonly ttl: string;
  readonly subject: string;
}

async function printToken(options: TokenOptions): Promise<string> {
  const types = options.types?.split(",").map((type) => type.trim());
  return mintToken({
    secret: await secretOf(),
    subject: options.subject,
    grants: [
      { library: options.library, role: options.role, ...(types === undefined ? {} : { types }) },
    ],
    ttlSeconds: parseTtl(options.ttl),
    clock: systemClock,
  });
}

async function run(mode: "development" | "production"): Promise<void> {
  const { serve, stopOnSignal } = await import("../runtime/bun.ts");
  const running = await serve({ mode, env });
  stopOnSignal(running);
  console.log(`Syncline listens at ${running.url}`);
  if (mode === "production" || running.secret === null) return;
  const owner = { role: "owner", library: "*", ttl: "1d", subject: "developer" } as const;
  const token = await printToken(owner);
  console.log(`
An owner's token for one day:

  export TOKEN=${token}

Create a library, watch it, and write to it from another terminal:

  curl ${running.url}/v1/libraries -H "Authorization: Bearer $TOKEN" --json '{"name":"home"}'
  export LIBRARY=<the id it answers>
  curl -N "${running.url}/v1/libraries/$LIBRARY/events?encoding=json" -H "Authorization: Bearer $TOKEN"
  curl ${running.url}/v1/libraries/$LIBRARY/commit -H "Authorization: Bearer $TOKEN" --json '{
    "resource_type": "album", "operation": "insert",
    "id": "0190a8d5-3f6e-7c1b-9d52-8a4f6e2b1c3d", "data": { "name": "Iceland" } }'
`);
}

/** The address and the token of the service a command talks to. */
async function connect(options: { url: string; token?: string }) {
  const owner = { role: "owner", library: "*", ttl: "1h", subject: "command line" } as const;
  return { url: options.url.replace(/\/$/, ""), token: options.token ?? (await printToken(owner)) };
}

const url = () =>
  new Option("--url <url>", "the service").env("SYNCLINE_URL").default("http://127.0.0.1:8787");
const token = () =>
  new Option("--token <token>", "a token; by default one is made from the data folder").env(
    "SYNCLINE_TOKEN",
  );

const program = new Command("syncline").description("A sync service that you own.");
program
  .command("dev")
  .description("run the service, print a token and first steps")
  .action(() => run("development"));
program
  .command("start")
  .description("run the service")
  .action(() => run("production"));
program
  .command("token")
  .description("print a token for the same data folder")
  .addOption(
    new Option("--role <role>").choices(["reader", "writer", "owner"]).makeOptionMandatory(),
  )
  .option("--library <id>", "a library; * for the whole service", "*")
  .option("--types <list>", "only these resource types, separated by commas")
  .option("--ttl <time>", "how long it holds: 90s, 15m, 1h, 30d or none", "30d")
  .option("--subject <name>", "whom it is for", "command line")
  .action(async (options: TokenOptions) => console.log(await printToken(options)));
const library = program.command("library").description("create and list libraries");
library
  .command("create <name>")
  .addOption(url())
  .addOption(token())
  .action(async (name: string, options: { url: string; token?: string }) =>
    console.log(await createLibrary(await connect(options), name)),
  );
library
  .command("list")
  .addOption(url())
  .addOption(token())
  .action(async (options: { url: string; token?: string }) => {
    for (const one of await listLibraries(await connect(options))) {
      console.log(`${one.id}  ${String(one.head).padStart(10)}  ${one.name}`);
    }
  });
program
  .command("tail")
  .description("follow a library's events")
  .addOption(url())
  .addOption(token())
  .option("--library <id>", "the library; by default the only one there is")
  .option("--after <sequence>", "begin behind this sequence; by default at the end")
  .option("--count <n>", "end after so many events")
  .action(
    async (options: {
      url: string;
      token?: string;
      library?: string;
      after?: string;
      count?: string;
    }) => tail(await connect(options), options),
  );

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
