/**
 * Crash: the service is killed with SIGKILL while clients write. Whatever was acknowledged must be
 * there afterwards (I4), the log must be dense (I1), and rows and entries must agree (I2).
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { SECRET, dense, tokenFor } from "../support/world.ts";

async function start(directory: string) {
  const child = Bun.spawn(
    ["test/support/tethered.sh", process.execPath, "src/tools/cli.ts", "start"],
    {
      env: {
        ...process.env,
        PORT: "0",
        DATABASE_URL: `file:${directory}/{database}.db`,
        SYNCLINE_SECRET: SECRET,
        LOG_LEVEL: "error",
      },
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of child.stdout as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part);
    const url = /listens at (\S+)/.exec(text)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error(`The service did not start: ${text}`);
}

test("I1, I2, I4: kill -9 under load loses nothing that was acknowledged and leaves no hole", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-crash-"));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const acknowledged = new Map<string, number>();
  const library = createId();
  for (let round = 0; round < 8; round += 1) {
    const { child, url } = await start(directory);
    if (round === 0) {
      const body = JSON.stringify({ name: "home", id: library });
      await fetch(`${url}/v1/libraries`, { method: "POST", headers, body });
    }
    const write = async (): Promise<void> => {
      for (let count = 0; count < 5_000; count += 1) {
        const id = createId();
        const body = JSON.stringify({
          resource_type: "album",
          operation: "insert",
          id,
          data: { name: id },
        });
        const response = await fetch(`${url}/v1/libraries/${library}/commit`, {
          method: "POST",
          headers,
          body,
        });
        if (response.ok)
          acknowledged.set(id, ((await response.json()) as { sequence: number }).sequence);
      }
    };
    const writers = Promise.allSettled(Array.from({ length: 8 }, write));
    const before = acknowledged.size;
    while (acknowledged.size < before + 20 + round * 37) await Bun.sleep(1);
    child.kill("SIGKILL");
    await child.exited;
    await writers;
  }
  const client = createClient({ url: `file:${directory}/${library}.db` });
  const log = await client.execute(
    "SELECT sequence, record_id, epoch FROM sync_log ORDER BY sequence",
  );
  const rows = new Set((await client.execute("SELECT id FROM albums")).rows.map((row) => row[0]));
  const head = (await client.execute("SELECT head FROM library")).rows[0]?.[0] as number;
  expect(log.rows.map((row) => row[0] as number)).toEqual(dense(head));
  expect(new Set(log.rows.map((row) => row[1]))).toEqual(rows);
  const byId = new Map(log.rows.map((row) => [row[1] as string, row[0] as number]));
  for (const [id, sequence] of acknowledged) expect(byId.get(id)).toBe(sequence);
  const epochs = log.rows.map((row) => row[2] as number);
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(acknowledged.size).toBeGreaterThan(1_000);
  client.close();
  await rm(directory, { recursive: true, force: true });
}, 120_000);

test("SIGTERM says goodbye to streams, gives the lease back and exits with 0", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-term-"));
  const { child, url } = await start(directory);
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const library = createId();
  const body = JSON.stringify({ name: "home", id: library });
  await fetch(`${url}/v1/libraries`, { method: "POST", headers, body });
  const stream = await fetch(`${url}/v1/libraries/${library}/events?encoding=json`, { headers });
  const text = stream.text();
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(await text).toContain('"reason":"shutdown"');
  const client = createClient({ url: `file:${directory}/${library}.db` });
  expect((await client.execute("SELECT lease_expires_at FROM library")).rows[0]?.[0]).toBe(0);
  client.close();
  await rm(directory, { recursive: true, force: true });
}, 30_000);
