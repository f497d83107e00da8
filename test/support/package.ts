import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { dependencies, exports, version } from "../../package.json";

type Env = Readonly<Record<string, string>>;

/** A folder that depends on the package as it would be published. */
export interface Stranger {
  readonly folder: string;
  /** What lies in the package. */
  readonly files: readonly string[];
  /** Runs a program in the folder, and answers what it said. */
  run(command: readonly string[], env?: Env): Promise<{ code: number; said: string }>;
  /** Starts a program there that runs on. */
  start(command: readonly string[], env: Env): StrangerProcess;
  remove(): Promise<void>;
}

interface StrangerProcess {
  readonly pid: number;
  /** Resolves when what it said so far matches. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
}

/** What the application names itself; what else the package depends on is found by that alone, as under pnpm. */
const own = "@tanstack/db @types/node @types/react drizzle-orm react react-dom valibot zod".split(
  " ",
);

/** Builds, packs and unpacks it beside links to its dependencies: as npm does, without a network. */
export async function packForStranger(): Promise<Stranger> {
  const folder = await mkdtemp(join(tmpdir(), "syncline-stranger-"));
  const pack = Bun.spawnSync([process.execPath, "pm", "pack", "--destination", folder]);
  if (pack.exitCode !== 0) throw new Error(pack.stdout.toString() + pack.stderr.toString());
  const home = join(folder, "node_modules/syncline");
  await mkdir(home, { recursive: true });
  const unpack = ["tar", "xzvf", `${folder}/syncline-${version}.tgz`, "-C", home];
  const { stdout } = Bun.spawnSync([...unpack, "--strip-components=1"]);
  const paths = stdout.toString().trim().split("\n");
  await linkPackages(own, folder);
  const others = Object.keys(dependencies).filter((name) => !own.includes(name));
  await linkPackages(others, home);
  await cp("test/support/stranger", folder, { recursive: true });
  await Bun.write(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return {
    folder,
    files: paths.map((path) => path.replace("package/", "")),
    run: async (command, set = {}) => {
      const env = { ...process.env, ...set };
      const ran = Bun.spawn([...command], { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
      const said = await Promise.all(
        [ran.stdout, ran.stderr].map((stream) => new Response(stream).text()),
      );
      return { code: await ran.exited, said: said.join("") };
    },
    start: (command, env) => startIn(folder, command, env),
    remove: () => rm(folder, { recursive: true }),
  };
}

async function linkPackages(names: readonly string[], folder: string): Promise<void> {
  for (const name of names) {
    const link = join(folder, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(resolve("node_modules", name), link);
  }
}

function startIn(folder: string, command: readonly string[], env: Env): StrangerProcess {
  const child = Bun.spawn([resolve("test/support/tethered.sh"), ...command], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return {
    pid: child.pid,
    until: async (pattern) => {
      for (;;) {
        const found = pattern.exec(text);
        if (found !== null) return found;
        const { done, value } = await reader.read();
        if (done) throw new Error(`${command.join(" ")} ended, and had said: ${text}`);
        text += decoder.decode(value, { stream: true });
      }
    },
    kill: (signal) => child.kill(signal),
    exited: child.exited,
  };
}

/** What is imported by name; a Worker's own only inside one. */
export const entries = Object.keys(exports).map((entry) => `syncline${entry.slice(1)}`);

/** The files behind every entry, for whoever asks. */
export const filesOfEntries = Object.values(exports).flatMap((conditions) =>
  Object.values(conditions).map((path) => path.slice(2)),
);
