/**
 * What a part compares, each a process of its own in a folder of its own. Disposing ends the
 * process by its id and removes the folder.
 *
 * @module
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { mintToken } from "../../src/auth/token.ts";
import { systemClock } from "../../src/base/clock.ts";
import { openChild, type Child } from "./child.ts";
import type { LoadCalls } from "./load.ts";
import type { NaiveCalls } from "./naive.ts";
import type { RawCalls } from "./raw.ts";
import type { SharedBytesCalls } from "./shared-bytes.ts";
import { encodeHead, request, type Target } from "./socket.ts";

const SECRET = "a secret that only the benchmark knows";
/** Beside the sources, not in /tmp: a folder in memory would make durability free. */
const ROOT = join(import.meta.dir, "../../.cache/bench");

export interface Contender extends AsyncDisposable {
  readonly pid: number;
  readonly target: Target;
}

async function openFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  await mkdir(ROOT, { recursive: true });
  const path = await mkdtemp(join(ROOT, "part-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Sends one JSON request. @throws when the status is not 2xx */
export function post(target: Target, path: string, body: unknown): Promise<unknown> {
  const text = JSON.stringify(body);
  const head = encodeHead(target, `POST ${path}`, [
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(text)}`,
  ]);
  return request(target.port, Buffer.from(head + text));
}

/** The port in the first line of a child's output that names an address. */
async function readPort(output: ReadableStream<Uint8Array>): Promise<number> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of output as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true });
    const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`The service ended before it listened: ${text}`);
}

/** The service as `syncline start` runs it, durable, with one library. */
export async function openService(): Promise<Contender> {
  const folder = await openFolder();
  const child = Bun.spawn([process.execPath, "src/tools/cli.ts", "start"], {
    cwd: join(import.meta.dir, "../.."),
    env: {
      PORT: "0",
      DATABASE_URL: `file:${folder.path}/{database}.db`,
      DURABILITY: "full",
      SYNCLINE_SECRET: SECRET,
      LOG_LEVEL: "error",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const dispose = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    await folder[Symbol.asyncDispose]();
  };
  try {
    const grants = [{ library: "*", role: "owner" }] as const;
    const mint = { secret: SECRET, subject: "bench", grants, ttlSeconds: null, clock: systemClock };
    const token = await mintToken(mint);
    const port = await readPort(child.stdout);
    const created = await post({ port, token, library: "" }, "/v1/libraries", { name: "bench" });
    const target = { port, token, library: String(Object(created).id) };
    return { pid: child.pid, target, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The server to beat (`naive.ts`). */
export async function openNaive(): Promise<Contender> {
  const folder = await openFolder();
  const child = openChild<NaiveCalls>("naive.ts");
  const token = "a token as good as any";
  const port = await child.call("listen", { directory: folder.path, token });
  return {
    pid: child.pid,
    target: { port, token, library: "only" },
    [Symbol.asyncDispose]: async () => {
      await child[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** The bound of fan-out (`shared-bytes.ts`). */
export async function openSharedBytes(frameBytes: number, isDurable: boolean): Promise<Contender> {
  const folder = await openFolder();
  const child = openChild<SharedBytesCalls>("shared-bytes.ts");
  const port = await child.call("listen", { directory: folder.path, frameBytes, isDurable });
  return {
    pid: child.pid,
    target: { port, token: "none", library: "only" },
    [Symbol.asyncDispose]: async () => {
      await child[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** The bound of writing (`raw.ts`). */
export async function openRaw(): Promise<Child<RawCalls>> {
  const folder = await openFolder();
  const child = openChild<RawCalls>("raw.ts");
  await child.call("open", { directory: folder.path });
  return {
    pid: child.pid,
    call: (name, input) => child.call(name, input),
    [Symbol.asyncDispose]: async () => {
      await child[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Long enough for the runtime to have compiled what a commit runs; before that it measures the compiler. */
const WARM_UP_MS = 4_000;

/** Commits to each for as long, so that a figure tells of a service that runs, not of one that starts. */
export async function warmUp(contenders: readonly Contender[]): Promise<void> {
  await using load = openLoad();
  for (const { target } of contenders)
    await load.call("runCommits", { target, clientCount: 4, durationMs: WARM_UP_MS });
}

/** The process that sends and subscribes. */
export function openLoad(): Child<LoadCalls> {
  return openChild<LoadCalls>("load.ts");
}
