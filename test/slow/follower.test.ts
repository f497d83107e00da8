/**
 * A follower in a process of its own is killed with SIGKILL again and again, while it takes its
 * snapshot and while it follows, and its leader is written to all along. In the end both have the
 * same rows and the same log (I1, I7), and what it was asked to keep has arrived once (I5).
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { SECRET, tokenFor } from "../support/world.ts";

const environment = (more: Record<string, string>) => ({
  ...process.env,
  SYNCLINE_SECRET: SECRET,
  LOG_LEVEL: "error",
  ...more,
});

/** Starts a process and resolves when it says where it listens. */
async function start(words: string[], env: Record<string, string>) {
  const child = Bun.spawn(
    ["test/support/tethered.sh", process.execPath, "src/tools/cli.ts", ...words],
    {
      env: environment(env),
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const lines = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let part = await lines.read(); !part.done; part = await lines.read()) {
    text += decoder.decode(part.value);
    const url = /listens at (\S+)/.exec(text)?.[1];
    if (url === undefined) continue;
    const rest = async () => {
      while (!(await lines.read()).done);
    };
    return { child, url, drained: rest() };
  }
  throw new Error(`${words.join(" ")} did not start: ${text}`);
}

async function readAll(path: string) {
  const client = createClient({ url: `file:${path}` });
  const all = async (sql: string) => (await client.execute(sql)).rows.map((row) => Array.from(row));
  const state = {
    albums: await all("SELECT id, version, name, origin_device_id FROM albums ORDER BY id"),
    tombstones: await all("SELECT record_id, version FROM tombstones ORDER BY record_id"),
    checksums: await all("SELECT * FROM checksums WHERE count > 0 ORDER BY 1"),
    library: await all("SELECT head, history_id FROM library"),
    oldest: (await all("SELECT oldest_sequence FROM library"))[0]?.[0] as number,
    log: await all("SELECT sequence, transaction_id, data FROM sync_log ORDER BY sequence"),
  };
  client.close();
  return state;
}

test("I1, I5, I7: a follower killed at random moments ends up equal to its leader", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-follower-"));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const library = createId();
  const leader = await start(["start"], {
    PORT: "0",
    DATABASE_URL: `file:${directory}/leader/{database}.db`,
    DURABILITY: "normal",
  });
  const post = (url: string, path: string, body: unknown) =>
    fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const at = `/v1/libraries/${library}`;
  await post(leader.url, "/v1/libraries", { name: "home", id: library });
  const ids = Array.from({ length: 4_000 }, () => createId());
  const records = ids.map((id) => JSON.stringify({ id, name: id })).join("\n");
  await fetch(`${leader.url}${at}/bulk?resource_type=album`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/x-ndjson" },
    body: records,
  });

  const quiet = new AbortController();
  const write = async (): Promise<void> => {
    for (let step = 0; !quiet.signal.aborted; step += 1) {
      const id = ids[(step * 7) % ids.length] ?? "";
      const operation = step % 5 === 4 ? "delete" : "upsert";
      const changes = [
        {
          resource_type: "album",
          operation,
          id,
          ...(operation === "delete" ? {} : { data: { name: `n${step}` } }),
        },
        { resource_type: "album", operation: "insert", id: createId(), data: { name: "more" } },
      ];
      await post(leader.url, `${at}/batch`, { changes });
      await Bun.sleep(3);
    }
  };
  const writer = write();
  const words = ["follow", leader.url, "--library", library, "--token", token, "--port", "0"];
  const replica = `file:${directory}/replica/{database}.db`;
  const begin = () => start([...words, "--database", replica], { DURABILITY: "normal" });
  const queued = createId();
  for (let round = 0; round < 7; round += 1) {
    const follower = await begin();
    await Bun.sleep(20 + round * 90);
    if (round === 3) {
      await post(follower.url, `${at}/commit?queue=1`, {
        resource_type: "album",
        operation: "insert",
        id: queued,
        data: { name: "queued" },
        mutation_id: createId(),
      });
    }
    follower.child.kill("SIGKILL");
    await follower.child.exited;
  }
  quiet.abort();
  await writer;
  const follower = await begin();
  const seen = async () =>
    (await (await fetch(`${follower.url}${at}/follower`, { headers })).json()) as {
      state: string;
      lag: number;
      head: number;
    };
  const { head } = (await (await fetch(`${leader.url}${at}`, { headers })).json()) as {
    head: number;
  };
  let last = await seen();
  for (let left = 400; left > 0 && !(last.state === "live" && last.head >= head); left -= 1) {
    await Bun.sleep(50);
    last = await seen();
  }
  expect(last.state).toBe("live");
  follower.child.kill("SIGTERM");
  expect(await follower.child.exited).toBe(0);
  leader.child.kill("SIGTERM");
  expect(await leader.child.exited).toBe(0);

  const theirs = await readAll(`${directory}/leader/${library}.db`);
  const ours = await readAll(`${directory}/replica/${library}.db`);
  expect(ours.albums).toEqual(theirs.albums);
  expect(ours.albums.length).toBeGreaterThan(3_000);
  expect(ours.tombstones).toEqual(theirs.tombstones);
  expect(ours.checksums).toEqual(theirs.checksums);
  expect(ours.library).toEqual(theirs.library);
  expect(ours.log).toEqual(theirs.log.filter(([sequence]) => (sequence as number) >= ours.oldest));
  expect(ours.albums.filter(([id]) => id === queued).length).toBe(1);
  await rm(directory, { recursive: true, force: true });
}, 120_000);
