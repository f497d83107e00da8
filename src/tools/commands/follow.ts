import { hostname } from "node:os";
import type { Command } from "commander";
import * as v from "valibot";
import { systemClock } from "../../base/clock.ts";
import { isId } from "../../base/id.ts";
import type { Follower, FollowerStatus } from "../../follower/follower.ts";
import type { Following } from "../../library/following.ts";
import {
  chooseLibrary,
  connect,
  parseUrl,
  withLibrary,
  type ConnectionOptions,
} from "../connect.ts";
import { CommandError } from "../errors.ts";
import { writeLine, writeNotice } from "../output.ts";
import { parseCount } from "./parse.ts";

interface FollowOptions {
  readonly library?: string;
  readonly token?: string;
  readonly database: string;
  readonly port: number;
  readonly name: string;
}

/** How often the printed line looks for news. */
const WATCH_MS = 500;

/** Adds `follow` and `promote`. */
export function addFollow(program: Command): void {
  program
    .command("follow")
    .description("keep a full replica of a library of another service, and serve it here")
    .argument(
      "<url>",
      "the service that leads the library; commas between several nodes",
      parseUrls,
    )
    .option("--library <id>", "id or name of the library (default: the only one there is)")
    .option("--token <token>", "what that service lets in (default: $SYNCLINE_TOKEN)")
    .option("--database <url>", "where the replica lies", "file:./replica/{database}.db")
    .option("--port <port>", "where the replica is served", parseCount, 8788)
    .option("--name <name>", "what this device is called there", hostname())
    .action(follow);
  withLibrary(program.command("promote"))
    .description(
      "make a follower lead its library, under the next epoch; asks the service at --url",
    )
    .action(promote);
}

async function follow(url: string, options: FollowOptions): Promise<void> {
  const token = options.token ?? process.env["SYNCLINE_TOKEN"];
  if (token === undefined || token === "") {
    throw new CommandError(
      "Pass --token, or set SYNCLINE_TOKEN: the leader must let this device in.",
    );
  }
  const { serve, stopOnSignal } = await import("../../runtime/bun.ts");
  const running = await serve({
    mode: "production",
    env: { ...process.env, DATABASE_URL: options.database, PORT: String(options.port) },
  });
  stopOnSignal(running);
  writeLine(`Syncline listens at ${running.url}`);
  const begun = begin(running.following, { url, token, options });
  // A service that follows nothing is not what was asked for.
  const follower = await begun.catch(async (error: unknown) => {
    await running.stop();
    throw error;
  });
  let told = "";
  systemClock.every(WATCH_MS, () => {
    const line = formatStatus(follower.status);
    if (line !== told) writeLine(line);
    told = line;
  });
}

async function begin(
  following: Following,
  { url, token, options }: { url: string; token: string; options: FollowOptions },
): Promise<Follower> {
  const libraryId = await findLibrary(following, { url, named: options.library, token });
  const deviceName = options.name;
  const follower = await following.follow({ libraryId, leaderUrl: url, token, deviceName });
  writeLine(`Follows library ${libraryId} of ${url}`);
  return follower;
}

function parseUrls(text: string): string {
  return text.split(",").map(parseUrl).join(",");
}

/** What was followed there before goes on, whether or not the leader can be asked. */
async function findLibrary(
  following: Following,
  { url, named, token }: { url: string; named?: string | undefined; token: string },
): Promise<string> {
  const known = [...following.statuses()].flatMap(([id, { leaderUrl }]) =>
    leaderUrl === url ? [id] : [],
  );
  const [only] = isId(named) ? known.filter((id) => id === named.toLowerCase()) : known;
  const isClear = only !== undefined && (named === undefined ? known.length === 1 : isId(named));
  if (isClear) return only;
  try {
    return await askAny(url.split(","), (address) =>
      chooseLibrary(connect({ url: address, token }), named),
    );
  } catch (error) {
    if (only === undefined || known.length > 1) throw error;
    writeNotice(`The leader cannot be asked; library ${only} is followed on.`);
    return only;
  }
}

/** What the first node says that answers. @throws what the last one did */
async function askAny<Answer>(
  [first = "", ...others]: readonly string[],
  ask: (address: string) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask(first);
  } catch (error) {
    if (others.length === 0) throw error;
    return askAny(others, ask);
  }
}

/** One line of what a follower does. */
function formatStatus({ state, reason, head, leaderHead }: FollowerStatus): string {
  const place = leaderHead === null ? String(head) : `${head}/${leaderHead}`;
  return `${state} ${place}${reason === null ? "" : `: ${reason}`}`;
}

async function promote(options: ConnectionOptions): Promise<void> {
  const api = connect(options);
  const library = await chooseLibrary(api, options.library);
  const answer = v.object({ epoch: v.number() });
  const path = `/v1/libraries/${library}/leader/promote`;
  const { epoch } = await api.json(path, answer, { method: "POST" });
  writeNotice(`This service leads library ${library} now, under epoch ${epoch}.`);
}
