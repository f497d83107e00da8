import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { systemClock } from "../../src/base/clock.ts";
import { mintToken } from "../../src/auth/token.ts";
import { SECRET } from "../support/world.ts";

/**
 * Ctrl-C in `npm run start` reaches the service twice, from the terminal and from npm. A bulk whose sender is
 * silent makes the stop last, so that the second comes while the first is obeyed.
 */
test("a second signal does not cut the first one short", async () => {
  const folder = await mkdtemp(join(tmpdir(), "syncline-"));
  const child = Bun.spawn([process.execPath, "src/tools/cli.ts", "start"], {
    env: {
      ...process.env,
      PORT: "0",
      SYNCLINE_SECRET: SECRET,
      DATABASE_URL: `file:${folder}/{database}.db`,
    },
    stdout: "pipe",
    stderr: "ignore",
  });
  const { value } = await child.stdout.getReader().read();
  const url = /http:\S+/.exec(new TextDecoder().decode(value))?.[0] ?? "";
  const subject = "tester";
  const grants = [{ library: "*", role: "owner" as const }];
  const minted = { secret: SECRET, subject, grants, ttlSeconds: 60, clock: systemClock };
  const authorization = `Bearer ${await mintToken(minted)}`;
  const created = await fetch(`${url}/v1/libraries`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ name: "home" }),
  });
  const at = `${url}/v1/libraries/${((await created.json()) as { id: string }).id}`;
  const token = createId();
  const silent = fetch(`${at}/bulk?resource_type=tag&mode=insert&token=${token}`, {
    method: "POST",
    headers: { authorization, "content-type": "application/x-ndjson" },
    body: new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
    }),
  }).catch(() => null);
  const isRunning = () =>
    fetch(`${at}/bulk/${token}`, { headers: { authorization } }).then(({ ok }) => ok);
  while (!(await isRunning())) await Bun.sleep(5);
  const isOpen = () =>
    fetch(`${url}/healthz`, { headers: { connection: "close" } }).then(
      ({ ok }) => ok,
      () => false,
    );
  child.kill("SIGTERM");
  while (await isOpen()) await Bun.sleep(1);
  child.kill("SIGTERM");
  expect([await child.exited, child.signalCode]).toEqual([0, null]);
  await silent;
  await rm(folder, { recursive: true });
});
