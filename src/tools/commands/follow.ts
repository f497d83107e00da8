import { hostname } from "node:os";
import type { Command } from "commander";
import * as v from "valibot";
import { systemClock } from "../../base/clock.ts";
import type { FollowerStatus } from "../../follower/follower.ts";
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
    .argument("<url>", "the service that leads the library", parseUrl)
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
  const libraryId = await findLibrary(running.following, { url, token, named: options.library });
  const follower = await running.following.follow({
    libraryId,
    leaderUrl: url,
    token,
    deviceName: options.name,
  });
  writeLine(`Follows library ${libraryId} of ${url}`);
  let told = "";
  systemClock.every(WATCH_MS, () => {
    const line = formatStatus(follower.status);
    if (line !== told) writeLine(line);
    told = line;
  });
}

/** Asks the leader, which may be down: then what was followed there before goes on. */
async function findLibrary(
  following: Following,
  {
    url,
    token,
    named,
  }: { readonly url: string; readonly token: string; readonly named?: string | undefined },
): Promise<string> {
  try {
    return await chooseLibrary(connect({ url, token }), named);
  } catch (error) {
    const known = [...following.statuses()].flatMap(([id, { leaderUrl }]) =>
      leaderUrl === url && (named === undefined || named.toLowerCase() === id) ? [id] : [],
    );
    const [only] = known;
    if (only === undefined || known.length > 1) throw error;
    writeNotice(`The leader cannot be asked; library ${only} is followed on.`);
    return only;
  }
}

/** One line of what a follower does. */
export function formatStatus({ state, reason, head, leaderHead }: FollowerStatus): string {
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
