import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { createId, deriveId } from "../base/id.ts";
import { reasonOf } from "../base/reason.ts";
import { readConfig } from "./config.ts";

export interface NodeIdentity {
  readonly deviceId: string;
  /** The HS256 secret: from the environment, else made once and kept beside the data. */
  readonly secret: string | null;
  /** The folder of `file:` databases; null for remote ones. */
  readonly dataDir: string | null;
}

/** The folder that a `file:` URL template writes to. */
function dataDirOf(databaseUrl: string): string | null {
  if (!databaseUrl.startsWith("file:")) return null;
  return resolve(dirname(databaseUrl.slice("file:".length)));
}

const word = v.pipe(v.string(), v.minLength(16));
const keptSchema = v.object({ device_id: word, secret: word });
type Kept = v.InferOutput<typeof keptSchema>;

/** What lies beside the data. @throws Error that names a folder which cannot be used */
async function readKept(dataDir: string): Promise<Kept> {
  const path = join(dataDir, "node.json");
  const made: Kept = { device_id: createId(), secret: createId() + createId() };
  let text: string;
  try {
    await mkdir(dataDir, { recursive: true });
    // "wx" lets one of two processes that start together win; both then read what it wrote.
    await writeFile(path, `${JSON.stringify(made, null, 2)}\n`, { flag: "wx", mode: 0o600 }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      },
    );
    text = await readFile(path, "utf8");
  } catch (cause) {
    const advice = "let this process write there, or set DATABASE_URL to another place";
    const message = `The data folder ${dataDir} cannot be used (${reasonOf(cause)}): ${advice}.`;
    throw new Error(message, { cause });
  }
  const kept = v.safeParse(keptSchema, parseJson(text));
  if (kept.success) return kept.output;
  const advice = "bring it back from a backup, or remove it: then another is made";
  throw new Error(`${path} does not hold this node's id and secret: ${advice}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Reads who this node is, from the data folder; makes it the first time. @throws Error with a sentence */
export async function openNode(
  env: Readonly<Record<string, string | undefined>>,
): Promise<NodeIdentity> {
  const config = readConfig(env);
  const dataDir = dataDirOf(config.DATABASE_URL);
  // A node that others reach by a URL is that URL's device: it takes its lease back after a restart,
  // and nodes that share a folder are not mistaken for each other.
  const named = config.NODE_URL === undefined ? null : deriveId(config.NODE_URL);
  if (dataDir === null) {
    return { deviceId: named ?? createId(), secret: config.SYNCLINE_SECRET ?? null, dataDir };
  }
  const kept = await readKept(dataDir);
  return {
    deviceId: named ?? kept.device_id,
    secret: config.SYNCLINE_SECRET ?? kept.secret,
    dataDir,
  };
}
