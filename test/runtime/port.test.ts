import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("a port that is taken ends the start with a sentence that names it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "syncline-"));
  const holder = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { exitCode, stderr } = Bun.spawnSync(["bun", "src/tools/cli.ts", "dev"], {
    env: {
      ...process.env,
      PORT: String(holder.port),
      DATABASE_URL: `file:${folder}/{database}.db`,
    },
    timeout: 20_000,
  });
  const { port } = holder;
  await holder.stop(true);
  await rm(folder, { recursive: true });
  expect(stderr.toString()).toContain(`Port ${port} is in use: `);
  expect(exitCode).toBe(1);
});
