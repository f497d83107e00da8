import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createRequire } from "node:module";
import { Miniflare } from "miniflare";
import type { Target } from "../suites/conformance/world.ts";
import { startSqld } from "./sqld.ts";
import { SECRET, tokenFor } from "./world.ts";

/** A service that these tests started. */
export interface Running extends Target {
  stop(): Promise<void>;
}

type Env = Readonly<Record<string, string>>;

/** Where the databases lie: on disk, or in an sqld; and how to take them away again. */
export interface Storage {
  readonly env: Env;
  remove(): Promise<void>;
}

export async function fileStorage(): Promise<Storage> {
  const directory = await mkdtemp(join(tmpdir(), "syncline-runtime-"));
  return {
    env: { DATABASE_URL: `file:${directory}/{database}.db` },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export async function sqldStorage(address: "byName" | "byPath" = "byName"): Promise<Storage> {
  const sqld = await startSqld();
  return {
    env: { DATABASE_URL: sqld[address], DATABASE_ADMIN_URL: sqld.adminUrl },
    remove: () => sqld.stop(),
  };
}

async function toRunning(url: string, stop: () => Promise<void>): Promise<Running> {
  return {
    url,
    ownerToken: await tokenFor([{ library: "*", role: "owner" }]),
    tokenFor: (grants, ttlSeconds) => tokenFor(grants, ttlSeconds),
    stop,
  };
}

/** Starts a process and waits for the line that says where it listens. */
async function startProcess(argv: readonly string[], storage: Storage): Promise<Running> {
  const child = Bun.spawn(["test/support/tethered.sh", ...argv], {
    env: {
      ...process.env,
      PORT: "0",
      SYNCLINE_SECRET: SECRET,
      LOG_LEVEL: "error",
      ...storage.env,
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of child.stdout as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true });
    const url = /listens at (\S+)/.exec(text)?.[1];
    if (url === undefined) continue;
    return toRunning(url, async () => {
      child.kill("SIGTERM");
      await child.exited;
      await storage.remove();
    });
  }
  throw new Error(`The service did not start: ${text}`);
}

export function startBun(storage: Storage): Promise<Running> {
  return startProcess([process.execPath, "src/tools/cli.ts", "start"], storage);
}

/** The program itself: the wrapper that npm installs does not pass signals on. */
export function denoPath(): string {
  const deno = createRequire(createRequire(import.meta.url).resolve("deno/package.json"));
  const { arch, platform } = process;
  const name = platform === "linux" ? `linux-${arch}-glibc` : `${platform}-${arch}`;
  return deno.resolve(`@deno/${name}/deno`);
}

export async function startDeno(storage: Storage): Promise<Running> {
  const { tasks } = (await Bun.file("deno.json").json()) as { tasks: { start: string } };
  const [, ...argv] = tasks.start.split(" ");
  return startProcess([denoPath(), ...argv], storage);
}

const bundles = new Map<string, Promise<string>>();

/** The Worker's one file, as `wrangler deploy` sends it; made once for all who deploy it. */
export function bundleWorker(entry = "src/runtime/worker.ts"): Promise<string> {
  const bundled = bundles.get(entry) ?? bundle(entry);
  bundles.set(entry, bundled);
  return bundled;
}

async function bundle(entry: string): Promise<string> {
  const { success, outputs, logs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    minify: true,
  });
  const [output] = outputs;
  if (!success || output === undefined) throw new Error(logs.map(String).join("\n"));
  return output.text();
}

/** Lets workerd end with this process, which miniflare alone does only when it may say goodbye. */
function tetherWorkerd(): void {
  const { default: path } = createRequire(createRequire(import.meta.url).resolve("miniflare"))(
    "workerd",
  ) as { default: string };
  process.env["WORKERD"] = path;
  process.env["MINIFLARE_WORKERD_PATH"] = resolve("test/support/tethered.sh");
}

/** A service on workerd, and what the platform may do to its objects. */
export interface RunningWorkerd extends Running {
  /** Takes the object of a library out of memory, as Cloudflare does whenever it likes. */
  evict(library: string): Promise<void>;
}

export interface WorkerdOptions {
  /** What it is deployed as: objects of another name are other objects, so other devices. */
  readonly name?: string;
  readonly port?: number;
  readonly entry?: string;
  readonly settings?: Env;
  /** Where the objects' own storage lies, so that a later start finds it again. */
  readonly persistIn?: string;
  /** Hears each line that it logs. */
  readonly onLog?: (line: string) => void;
}

export async function startWorkerd(
  storage: Storage,
  { name = "syncline", port = 0, entry, settings = {}, persistIn, onLog }: WorkerdOptions = {},
): Promise<RunningWorkerd> {
  tetherWorkerd();
  const config = Bun.TOML.parse(await Bun.file("wrangler.toml").text()) as {
    compatibility_date: string;
    compatibility_flags: string[];
  };
  const miniflare = new Miniflare({
    name,
    modules: true,
    script: await bundleWorker(entry),
    host: "127.0.0.1",
    port,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    bindings: { SYNCLINE_SECRET: SECRET, LOG_LEVEL: "error", ...storage.env, ...settings },
    durableObjects: { LIBRARIES: { className: "LibraryObject", useSQLite: true } },
    ...(persistIn === undefined ? {} : { durableObjectsPersist: persistIn }),
    ...(onLog === undefined
      ? {}
      : {
          handleStructuredLogs: ({ message }: { message: string }) => {
            onLog(message);
          },
        }),
  });
  const url = await miniflare.ready;
  const running = await toRunning(url.origin, async () => {
    await miniflare.dispose();
    await storage.remove();
  });
  return {
    ...running,
    evict: (library) =>
      miniflare.unsafeEvictDurableObject(name, "LibraryObject", { name: library }),
  };
}
