import type { World } from "../support/world.ts";

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** The command line, as a person uses it on the service of a test. */
export function serveCommands(world: World) {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: world.app.fetch });
  return {
    run: async (...words: readonly string[]): Promise<Ended> => {
      const command = [process.execPath, "src/tools/cli.ts", ...words, "--token", world.token];
      const child = Bun.spawn(command, {
        env: { ...process.env, SYNCLINE_URL: `http://127.0.0.1:${server.port}` },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      return { stdout, stderr, code };
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
