import process from "node:process";
import { systemClock } from "../base/clock.ts";
import { reasonOf } from "../base/reason.ts";
import { withoutToken } from "./database-url.ts";
import { assertRuntime, listen, openProcess, stopOnSignal, toUrl } from "./process.ts";
import type { Running, ServeOptions } from "./process.ts";

export { loadApplication, stopOnSignal } from "./process.ts";
export type { Application, Running, ServeOptions } from "./process.ts";

/** As much of Deno as this file uses; its own types would clash with those of Bun. */
declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen: () => void },
    handler: (request: Request) => Response | Promise<Response>,
  ): {
    readonly addr: { readonly hostname: string; readonly port: number };
    shutdown(): Promise<void>;
  };
};

/** Starts the service on Deno. @throws Error with a sentence for a wrong configuration */
export async function serve(options: ServeOptions): Promise<Running> {
  assertRuntime("Deno");
  const opened = await openProcess(options);
  const { service, app, config, node } = opened;
  const { hostname, port } = { hostname: config.HOST, port: config.PORT };
  const server = await listen(opened, () =>
    Deno.serve({ hostname, port, onListen: () => {} }, (request) => app.fetch(request)),
  );
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    const finished = server.shutdown();
    await service.stop();
    // Streams have said goodbye; their last bytes get a moment to leave.
    await Promise.race([finished, systemClock.sleep(1_000)]);
  };
  const url = toUrl(server.addr.hostname, server.addr.port);
  service.telemetry.log("info", "Listening.", {
    url,
    databases: withoutToken(config.DATABASE_URL),
  });
  const { dataDir, secret } = node;
  const { following } = service;
  return { url, dataDir, secret, following, stop: () => (stopping ??= stop()) };
}

if (import.meta.main) {
  try {
    const running = await serve({ mode: "production", env: process.env });
    stopOnSignal(running);
    process.stdout.write(`Syncline listens at ${running.url}\n`);
  } catch (error) {
    process.stderr.write(`error: ${reasonOf(error)}\n`);
    process.exit(1);
  }
}
