import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SECRET, tokenFor } from "./world.ts";
import type { Target } from "../suites/conformance/world.ts";

/** A service that these tests started. */
export interface Running extends Target {
  stop(): Promise<void>;
}

interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Starts a process and waits for the line that says where it listens. */
async function startProcess({ argv, env, cwd }: Command) {
  const child = Bun.spawn([...argv], {
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "inherit",
    ...(cwd === undefined ? {} : { cwd }),
  });
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of child.stdout as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true });
    const url = /listens at (\S+)/.exec(text)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error(`The service did not start: ${text}`);
}

/** The service on Bun, in a process of its own. */
export async function startBun(env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), "syncline-bun-"));
  const { child, url } = await startProcess({
    argv: [process.execPath, "src/tools/cli.ts", "start"],
    env: {
      PORT: "0",
      DATABASE_URL: `file:${directory}/{database}.db`,
      SYNCLINE_SECRET: SECRET,
      LOG_LEVEL: "error",
      ...env,
    },
  });
  return {
    url,
    ownerToken: await tokenFor([{ library: "*", role: "owner" }]),
    tokenFor: (grants, ttlSeconds) => tokenFor(grants, ttlSeconds),
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
