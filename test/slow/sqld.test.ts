/**
 * One library on a libSQL server that hangs, dies and comes back. Every call has a deadline (a server
 * can wedge: reads answer, writes hang); a write whose answer was lost is looked up in the log.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { startCli } from "../support/cli-process.ts";
import { startSqld } from "../support/nodes.ts";
import { startBun } from "../support/runtimes.ts";
import { startSqld as startNamespaces } from "../support/sqld.ts";
import { createWorld, dense, tokenFor } from "../support/world.ts";

for (const scheme of ["http", "ws"]) {
  test(`I1, I4, I5: a server that hangs and dies delays commits over ${scheme}, and loses none`, async () => {
    const directory = await mkdtemp(join(tmpdir(), "syncline-sqld-"));
    let sqld = await startSqld(directory);
    const databaseUrl = sqld.url.replace("http", scheme);
    {
      await using world = await createWorld({ databaseUrl, limits: { databaseMs: 500 } });
      const acknowledged = new Map<string, number>();
      const over = new AbortController();
      const failures: string[] = [];
      const write = async (): Promise<void> => {
        while (!over.signal.aborted) {
          const [id, mutation_id] = [createId(), createId()];
          for (;;) {
            const { status, body } = await world.insertAlbum("x", id, { mutation_id });
            if (status === 200) {
              acknowledged.set(id, body.sequence as number);
              break;
            }
            failures.push(body.code as string);
            await Bun.sleep(20);
          }
        }
      };
      const writers = Array.from({ length: 4 }, write);
      while (acknowledged.size < 50) await Bun.sleep(5);

      sqld.child.kill("SIGSTOP");
      // What it had begun to answer when it was stopped may still arrive.
      let hung = await world.send("GET", "/readyz");
      if (hung.status === 200) hung = await world.send("GET", "/readyz");
      expect([hung.status, hung.body.code]).toEqual([503, "database_unavailable"]);
      sqld.child.kill("SIGCONT");
      const afterHang = acknowledged.size;
      while (acknowledged.size < afterHang + 50) await Bun.sleep(5);

      sqld.child.kill("SIGKILL");
      await sqld.child.exited;
      await Bun.sleep(200);
      sqld = await startSqld(directory, sqld.port);
      const afterDeath = acknowledged.size;
      while (acknowledged.size < afterDeath + 50) await Bun.sleep(5);

      over.abort();
      await Promise.all(writers);
      // On a busy machine a single write may still be late; one that is in time is enough.
      while ((await world.send("GET", "/readyz")).status !== 200) await Bun.sleep(100);
      const sequences = await world.sequences();
      expect(sequences).toEqual(dense(acknowledged.size));
      expect([...acknowledged.values()].toSorted((a, b) => a - b)).toEqual(sequences);
      const allowed = ["database_unavailable", "stale_epoch", "not_leader"];
      expect(failures.filter((code) => !allowed.includes(code))).toEqual([]);
    }
    sqld.child.kill("SIGKILL");
    await sqld.child.exited;
    await rm(directory, { recursive: true, force: true });
  }, 60_000);
}

for (const [trouble, signal, withinMs] of [
  ["dead", "SIGKILL", 2_000],
  ["hanging", "SIGSTOP", 8_000],
] as const) {
  test(`SIGTERM ends a node whose server is ${trouble} with exit code 0`, async () => {
    const directory = await mkdtemp(join(tmpdir(), "syncline-sqld-"));
    const sqld = await startSqld(directory);
    const env = { PORT: "0", DATABASE_URL: sqld.url };
    const node = await startCli(["start"], { env });
    const headers = {
      authorization: `Bearer ${await tokenFor([{ library: "*", role: "owner" }])}`,
      "content-type": "application/json",
    };
    const post = (path: string, body: object) =>
      fetch(`${node.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const id = createId();
    expect((await post("/v1/libraries", { id, name: "home" })).status).toBe(201);
    const change = { resource_type: "album", operation: "insert", id, data: { name: "x" } };
    expect((await post(`/v1/libraries/${id}/commit`, change)).status).toBe(200);
    sqld.child.kill(signal);
    const began = performance.now();
    node.kill("SIGTERM");
    expect(await node.exited).toBe(0);
    expect(performance.now() - began).toBeLessThan(withinMs);
    sqld.child.kill("SIGKILL");
    await sqld.child.exited;
    await rm(directory, { recursive: true, force: true });
  }, 30_000);
}

test("a JSON map names a place for each library: over http, ws and libsql, in the namespace of its host", async () => {
  const sqld = await startNamespaces();
  const [inHttp, inWs, elsewhere] = [createId(), createId(), createId()];
  const place = (scheme: string, name: string) =>
    sqld.byName.replace("http", scheme).replace("{database}", name);
  const service = await startBun({
    env: {
      DATABASE_URL: JSON.stringify({
        catalog: place("http", "catalog"),
        [inHttp]: place("http", inHttp),
        [inWs]: place("ws", inWs),
        "*": `${place("libsql", "{database}")}?tls=0`,
      }),
      DATABASE_ADMIN_URL: sqld.adminUrl,
    },
    remove: () => sqld.stop(),
  });
  const headers = {
    authorization: `Bearer ${service.ownerToken}`,
    "content-type": "application/json",
  };
  const post = async (path: string, body: object) =>
    fetch(`${service.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  for (const id of [inHttp, inWs, elsewhere]) {
    expect((await post("/v1/libraries", { id, name: id })).status).toBe(201);
    const change = { resource_type: "album", operation: "insert", id, data: { name: id } };
    expect((await post(`/v1/libraries/${id}/commit`, change)).status).toBe(200);
    const client = createClient({ url: place("http", id) });
    const { rows } = await client.execute("SELECT name, (SELECT head FROM library) FROM albums");
    client.close();
    expect(rows.map((row) => Array.from(row))).toEqual([[id, 1]]);
  }
  await service.stop();
}, 60_000);
