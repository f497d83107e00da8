import { Option, type Command } from "commander";
import { roles, SERVICE_WIDE, type Role } from "../../auth/capability.ts";
import { mintToken } from "../../auth/token.ts";
import { isId } from "../../base/id.ts";
import { readSecret } from "../connect.ts";
import { UsageError } from "../errors.ts";
import { writeLine } from "../output.ts";
import { parseNames, parseTtl } from "./parse.ts";

interface TokenOptions {
  readonly role: Role;
  readonly library: string;
  readonly types?: string[];
  readonly ttl: number | null;
  readonly subject: string;
}

const monthSeconds = 30 * 86_400;

/** Adds `token`. It prints the token and nothing else, so that `$(syncline token ...)` works. */
export function addToken(program: Command): void {
  program
    .command("token")
    .description("mint a token for the data of this folder, and print it")
    .addOption(
      new Option("--role <role>", "what it may do").choices(roles).makeOptionMandatory(true),
    )
    .option("--library <id>", "the library it is for, or * for all", SERVICE_WIDE)
    .option("--types <names>", "only these resource types, as in album,tag", parseNames)
    .addOption(
      new Option("--ttl <time>", "how long it is good: 90s, 15m, 1h, 30d, none")
        .argParser(parseTtl)
        .default(monthSeconds, "30d"),
    )
    .option("--subject <name>", "whom it is for", "command line")
    .action(async (options: TokenOptions) => writeLine(await mint(options)));
}

async function mint({ role, library, types, ttl, subject }: TokenOptions): Promise<string> {
  const isUnderstood: boolean = library === SERVICE_WIDE || isId(library);
  if (!isUnderstood) {
    throw new UsageError(`--library takes the id of a library or *; ${library} is neither.`);
  }
  return await mintToken({
    secret: await readSecret(),
    subject,
    grants: [{ library, role, ...(types === undefined ? {} : { types }) }],
    ttlSeconds: ttl,
  });
}
