import { type Command } from "commander";
import * as v from "valibot";
import { mintToken } from "../auth/token.ts";
import { systemClock } from "../base/clock.ts";
import { isId } from "../base/id.ts";
import { createApi, jsonBody, type Api } from "./api.ts";
import { ApiError, CommandError, UsageError } from "./errors.ts";

/** The options that every command shares which speaks to a service. */
export interface ConnectionOptions {
  readonly url?: string;
  readonly token?: string;
  readonly library?: string;
}

/** A library as the commands need it. */
const librarySchema = v.object({ id: v.string(), name: v.string(), head: v.number() });

export type LibrarySummary = v.InferOutput<typeof librarySchema>;

const defaultUrl = "http://127.0.0.1:8787";
const mintedSeconds = 3_600;
/** A minted token is replaced this long before it ends, so that no request carries a dying one. */
const renewBeforeMs = 5 * 60 * 1_000;

/** Adds `--url` and `--token`. */
export function withConnection(command: Command): Command {
  return command
    .option("--url <url>", `the service (default: $SYNCLINE_URL, else ${defaultUrl})`, parseUrl)
    .option(
      "--token <token>",
      "who you are (default: $SYNCLINE_TOKEN, else one minted for an hour from the local secret)",
    );
}

/** Adds `--url`, `--token` and `--library`. */
export function withLibrary(command: Command): Command {
  return withConnection(command).option(
    "--library <id>",
    "id or name of the library (default: the only one there is)",
  );
}

/** Opens the way to the service; sends nothing yet. */
export function connect(options: ConnectionOptions): Api {
  const url = options.url ?? parseUrl(nonEmpty(process.env["SYNCLINE_URL"]) ?? defaultUrl);
  const given = options.token ?? nonEmpty(process.env["SYNCLINE_TOKEN"]);
  return createApi({ url, token: given === undefined ? createMint() : async () => given });
}

/** Resolves to the id of the library that is meant. @throws CommandError when that is not clear */
export async function chooseLibrary(api: Api, wanted?: string): Promise<string> {
  if (isId(wanted)) return wanted;
  const libraries = await listLibraries(api).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.problem.status !== 403) throw error;
    throw new CommandError(
      "This token may not list libraries, so say which one you mean: --library <id>.",
      { cause: error },
    );
  });
  return pickLibrary(libraries, wanted);
}

/** Reads every page of libraries. */
export async function listLibraries(api: Api): Promise<LibrarySummary[]> {
  const page = v.object({
    libraries: v.array(librarySchema),
    next_cursor: v.optional(v.nullable(v.string()), null),
  });
  const libraries: LibrarySummary[] = [];
  for (let after: string | undefined; ;) {
    const answer = await api.json("/v1/libraries", page, { query: { after } });
    libraries.push(...answer.libraries);
    if (answer.next_cursor === null) return libraries;
    after = answer.next_cursor;
  }
}

/**
 * The library of that name, made if there is none: a script that creates its library, and is run
 * again, means the same one. Another of that name would be empty, and `--library NAME` mean neither.
 */
export async function findOrCreate(
  api: Api,
  wanted: { readonly name: string; readonly description?: string | undefined },
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const libraries = await listLibraries(api);
  if (libraries.some(({ name }) => name === wanted.name))
    return { id: pickLibrary(libraries, wanted.name), isNew: false };
  const { id } = await api.json("/v1/libraries", librarySchema, jsonBody(wanted));
  return { id, isNew: true };
}

/** The one library of that name, or the only one. @throws CommandError with what to do instead */
export function pickLibrary(
  libraries: readonly Pick<LibrarySummary, "id" | "name">[],
  wanted?: string,
): string {
  const fitting =
    wanted === undefined ? libraries : libraries.filter(({ name }) => name === wanted);
  const [first, ...others] = fitting;
  if (first !== undefined && others.length === 0) return first.id;
  if (libraries.length === 0) {
    throw new CommandError(
      "There is no library yet; create one with `syncline library create NAME`.",
    );
  }
  const listed = (first === undefined ? libraries : fitting)
    .map(({ id, name }) => `  ${id}  ${name}`)
    .join("\n");
  const what =
    wanted === undefined
      ? "There are several libraries"
      : first === undefined
        ? `No library is called ${wanted}`
        : `Several libraries are called ${wanted}`;
  throw new CommandError(`${what}; say which one you mean with --library <id>:\n${listed}`);
}

/**
 * The secret that signs tokens for the local data folder. Node's identity is loaded only when it is
 * needed, because most commands come with a token.
 */
export async function readSecret(): Promise<string> {
  const fromEnvironment = nonEmpty(process.env["SYNCLINE_SECRET"]);
  if (fromEnvironment !== undefined) return fromEnvironment;
  const { openNode } = await import("../runtime/node-identity.ts");
  const { secret, dataDir } = await openNode(process.env);
  if (secret !== null) return secret;
  const place = dataDir === null ? "and there is no data folder" : `and ${dataDir} holds none`;
  throw new CommandError(
    `There is no secret to mint a token with: SYNCLINE_SECRET is not set ${place}. ` +
      "Pass --token, or set SYNCLINE_TOKEN.",
  );
}

function createMint(): () => Promise<string> {
  let minted: { token: string; renewAtMs: number } | null = null;
  return async () => {
    const nowMs = systemClock.now();
    if (minted !== null && nowMs < minted.renewAtMs) return minted.token;
    const token = await mintToken({
      secret: await readSecret(),
      subject: "command line",
      grants: [{ library: "*", role: "owner" }],
      ttlSeconds: mintedSeconds,
      clock: systemClock,
    });
    minted = { token, renewAtMs: nowMs + mintedSeconds * 1_000 - renewBeforeMs };
    return token;
  };
}

/** Checks an address before anything is sent to it. @throws UsageError */
export function parseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new UsageError(
      `${text} is not the address of a service; it starts with http:// or https://.`,
    );
  }
  return text.replace(/\/+$/, "");
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
