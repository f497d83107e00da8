/**
 * Two services in processes of their own become one library, and one or the other is killed with
 * SIGKILL again and again meanwhile. In the end every record is there once, under one entry, with
 * the version it had (I1, I4, I5), and the service that asked follows the other.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { startCli } from "../support/cli-process.ts";
import type { CliProcess } from "../support/cli-process.ts";
import { freePorts } from "../support/sqld.ts";
import { tokenFor } from "../support/world.ts";

const COUNT = 3_000;

async function createServices() {
  const directory = await mkdtemp(join(tmpdir(), "syncline-merge-"));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const ports = freePorts(2);
  const start = (index: number): Promise<CliProcess> =>
    startCli(["start"], {
      env: {
        PORT: String(ports[index]),
        NODE_URL: `http://127.0.0.1:${ports[index]}`,
        DATABASE_URL: `file:${directory}/${index}/{database}.db`,
        DURABILITY: "normal",
      },
    });
  const services = [await start(0), await start(1)];
  const url = (index: number): string => `http://127.0.0.1:${ports[index]}`;
  const send = async (index: number, path: string, body?: object | string) => {
    const response = await fetch(url(index) + path, {
      headers: {
        ...headers,
        ...(typeof body === "string" ? { "content-type": "application/x-ndjson" } : {}),
      },
      ...(body === undefined
        ? {}
        : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    return { status: response.status, body: (await response.json()) as any };
  };
  return {
    directory,
    token,
    url,
    send,
    /** Kills a service in the midst of whatever it does, and starts it again. */
    restart: async (index: number): Promise<void> => {
      services[index]?.kill("SIGKILL");
      await services[index]?.exited;
      services[index] = await start(index);
    },
    [Symbol.asyncDispose]: async () => {
      for (const service of services) service.kill("SIGKILL");
      await Promise.all(services.map(({ exited }) => exited));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

test("I1, I4, I5: a merge whose services are killed again and again goes on, and doubles nothing", async () => {
  await using services = await createServices();
  const { send } = services;
  const [ours, theirs] = [createId(), createId()];
  const ids = Array.from({ length: COUNT }, createId);
  for (const [index, id] of [ours, theirs].entries()) {
    await send(index, "/v1/libraries", { name: "home", id });
  }
  const records = ids.map((id) => JSON.stringify({ id, name: id })).join("\n");
  const stored = await send(0, `/v1/libraries/${ours}/bulk?resource_type=album`, records);
  expect(stored.body.affected_count).toBe(COUNT);
  const [kept = "", gone = ""] = ids;
  for (const [id, change] of [
    [kept, { operation: "update", data: { name: "renamed" } }],
    [gone, { operation: "delete" }],
  ] as const) {
    const body = { resource_type: "album", id, ...change };
    expect((await send(0, `/v1/libraries/${ours}/commit`, body)).status).toBe(200);
  }
  const remote = (await send(1, `/v1/libraries/${theirs}/leader`)).body;
  const begun = await send(0, "/v1/sync-setup", {
    local_library_id: ours,
    remote_library_id: theirs,
    remote_url: services.url(1),
    remote_token: services.token,
    action: { type: "MergeIntoRemote" },
    leader_device_id: remote.leader_device_id,
  });
  const job = async () => (await send(0, `/v1/jobs/${begun.body.job_id}`)).body;
  const headOf = async () => (await send(1, `/v1/libraries/${theirs}`)).body.head as number;
  const killedAt: number[] = [];
  for (const victim of [0, 1, 0, 1, 0]) {
    // Some way further than at the last death, so that each falls on another place.
    const before = killedAt.at(-1) ?? -1;
    while ((await headOf()) <= before + 200 && (await job()).status === "running") {
      await Bun.sleep(1);
    }
    killedAt.push(await headOf());
    await services.restart(victim);
  }
  while ((await job()).status === "running") await Bun.sleep(50);
  expect(await job()).toMatchObject({ status: "complete" });
  expect(killedAt.filter((head) => head < COUNT - 1).length).toBeGreaterThan(3);

  const client = createClient({ url: `file:${services.directory}/1/${theirs}.db` });
  const all = async (sql: string) => (await client.execute(sql)).rows.map((row) => Array.from(row));
  expect(await all("SELECT count(*), count(DISTINCT id) FROM albums")).toEqual([
    [COUNT - 1, COUNT - 1],
  ]);
  // One entry a record, the deleted one's too, none of them twice, and no position left out.
  expect(
    await all(`SELECT count(*), max(sequence), max(times) FROM sync_log JOIN
      (SELECT max(times) AS times FROM (SELECT count(*) AS times FROM sync_log GROUP BY record_id))`),
  ).toEqual([[COUNT, COUNT, 1]]);
  expect(await all(`SELECT name, version FROM albums WHERE id = '${kept}'`)).toEqual([
    ["renamed", 2],
  ]);
  client.close();
  const catalog = createClient({ url: `file:${services.directory}/0/catalog.db` });
  const sql = "SELECT count(*) AS count FROM jobs WHERE instr(input, ?)";
  const { rows } = await catalog.execute(sql, [services.token]);
  catalog.close();
  expect(rows[0]?.["count"]).toBe(0);
  // Under its old id the library is the shared one, which this service follows.
  while ((await send(0, `/v1/libraries/${ours}`)).body.head !== COUNT) await Bun.sleep(50);
  expect((await send(0, `/v1/libraries/${ours}`)).body.id).toBe(theirs);
}, 120_000);
