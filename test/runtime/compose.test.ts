import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundledPlugins } from "../../plugins/index.ts";
import { composeService } from "../../src/runtime/compose.ts";
import { readConfig } from "../../src/runtime/config.ts";
import { createFileClient } from "../../src/runtime/file-client.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";

test("how many libraries may be in use at once is for the operator to say", async () => {
  for (const wrong of ["0", "many", "1e3"])
    expect(() => readConfig({ OPEN_LIBRARIES: wrong })).toThrow("OPEN_LIBRARIES is");
  const folder = await mkdtemp(join(tmpdir(), "syncline-compose-"));
  const env = { DATABASE_URL: `file:${folder}/{database}.db`, OPEN_LIBRARIES: "7" };
  const service = await composeService({
    config: readConfig(env),
    deviceId: "node",
    secret: "a secret that only this test knows",
    plugins: bundledPlugins,
    telemetry: silentTelemetry,
    metrics: () => "",
    doorOf: () => "127.0.0.1",
    createClient: ({ url }) => createFileClient(url),
  });
  expect(service.limits.openLibraries).toBe(7);
  await service.stop();
  await rm(folder, { recursive: true });
});
