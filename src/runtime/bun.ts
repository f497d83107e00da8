import { systemClock } from "../base/clock.ts";
import { openDirectBody } from "./direct-body.ts";
import { withoutToken } from "./database-url.ts";
import { assertRuntime, listen, openProcess, toUrl } from "./process.ts";
import type { Running, ServeOptions } from "./process.ts";

export { loadApplication, stopOnSignal } from "./process.ts";
export type { Application, Running, ServeOptions } from "./process.ts";

/** Starts the service on Bun. @throws Error with a sentence for a wrong configuration */
export async function serve(options: ServeOptions): Promise<Running> {
  assertRuntime("Bun");
  const opened = await openProcess(options, openDirectBody);
  const { service, app, config, node } = opened;
  const { limits, telemetry } = service;
  const server = await listen(opened, () =>
    Bun.serve({
      hostname: config.HOST,
      port: config.PORT,
      maxRequestBodySize: limits.bulkBodyBytes,
      // Later than our own answer to a body that does not arrive.
      idleTimeout: Math.min(255, Math.round(limits.bodyTimeoutMs / 1_000) + 5),
      fetch: (request, bunServer) => {
        // Streams and bulk uploads last as long as they last; their own clocks end them.
        if (/\/(events|bulk|snapshot)(\?|$)/.test(request.url)) bunServer.timeout(request, 0);
        return app.fetch(request);
      },
    }),
  );
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    const finished = server.stop(false);
    await service.stop();
    // Streams have said goodbye; their last bytes get a moment to leave.
    await Promise.race([finished, systemClock.sleep(1_000)]);
    await server.stop(true);
  };
  const url = toUrl(server.hostname ?? config.HOST, server.port ?? config.PORT);
  telemetry.log("info", "Listening.", { url, databases: withoutToken(config.DATABASE_URL) });
  const { dataDir, secret } = node;
  const { following } = service;
  return { url, dataDir, secret, following, stop: () => (stopping ??= stop()) };
}
