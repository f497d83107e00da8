import { resolve } from "node:path";
import { SECRET } from "./world.ts";

/** Where a process runs. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** The network namespace it lives in; without one, that of the tests. */
  readonly namespace?: string;
}

/** A command line that runs inside a network namespace and ends with this process. It keeps its id. */
export const inside = (namespace: string | undefined, command: readonly string[]): string[] => [
  resolve("test/support/tethered.sh"),
  ...(namespace === undefined ? [] : ["ip", "netns", "exec", namespace]),
  ...command,
];

export interface CliProcess {
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  /** The last things it said. */
  said(): string;
}

/** Starts `syncline WORDS` and resolves when it says where it listens; so the port is its own. */
export async function startCli(
  words: readonly string[],
  options: {
    readonly env: Readonly<Record<string, string>>;
    /** The working folder, where it looks for `syncline.config.ts`. */
    readonly folder?: string | undefined;
    readonly namespace?: string | undefined;
  },
): Promise<CliProcess> {
  const log = process.env["CLUSTER_LOG"];
  const child = Bun.spawn(
    inside(options.namespace, [process.execPath, resolve("src/tools/cli.ts"), ...words]),
    {
      env: {
        ...process.env,
        SYNCLINE_SECRET: SECRET,
        LOG_LEVEL: log ?? "error",
        ...options.env,
      },
      ...(options.folder === undefined ? {} : { cwd: options.folder }),
      stdout: "pipe",
      stderr: log === undefined ? "ignore" : "inherit",
    },
  );
  const lines = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let part = await lines.read(); !part.done; part = await lines.read()) {
    text += decoder.decode(part.value, { stream: true });
    const url = /listens at (\S+)\n/.exec(text)?.[1];
    if (url === undefined) continue;
    // What it says later is read too, because a process ends when nobody listens to it.
    void (async () => {
      for (let part = await lines.read(); !part.done; part = await lines.read())
        text = (text + decoder.decode(part.value, { stream: true })).slice(-1_000);
    })();
    return {
      url,
      pid: child.pid,
      kill: (signal) => child.kill(signal),
      exited: child.exited,
      said: () => text,
    };
  }
  throw new Error(`syncline ${words.join(" ")} did not start: ${text}`);
}
