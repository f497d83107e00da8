/**
 * Two nodes of a service share a copy, and writers hand them what is to wait. The leader dies, comes
 * back while the copy is promoted at both nodes at once, and one of them is killed with SIGKILL in the
 * middle of it. Whoever was told 202 finds the write in the library that leads: once, and in order.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { startCli } from "../support/cli-process.ts";
import type { CliProcess } from "../support/cli-process.ts";
import { freePorts, startSqld } from "../support/sqld.ts";
import { dense, tokenFor } from "../support/world.ts";

type Name = "leader" | "first" | "second";
const NAMES: readonly Name[] = ["leader", "first", "second"];

async function createServices() {
  const directory = await mkdtemp(join(tmpdir(), "syncline-promotion-"));
  const sqld = await startSqld();
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const ports = freePorts(3);
  const url = (name: Name): string => `http://127.0.0.1:${ports[NAMES.indexOf(name)]}`;
  const running = new Map<Name, CliProcess>();
  const start = async (name: Name): Promise<void> => {
    const shared = { DATABASE_URL: sqld.byName, DATABASE_ADMIN_URL: sqld.adminUrl };
    const own = { DATABASE_URL: `file:${directory}/{database}.db`, DURABILITY: "normal" };
    const env = {
      PORT: String(ports[NAMES.indexOf(name)]),
      NODE_URL: url(name),
      LEASE_MS: "1500",
      ...(name === "leader" ? own : shared),
    };
    running.set(name, await startCli(["start"], { env }));
  };
  for (const name of NAMES) await start(name);
  return {
    token,
    url,
    start,
    databaseUrl: (library: string) => sqld.byName.replace("{database}", library),
    kill: async (name: Name): Promise<void> => {
      running.get(name)?.kill("SIGKILL");
      await running.get(name)?.exited;
    },
    /** Asks a node; status 0 when it is dead or dies meanwhile. */
    send: async (name: Name, path: string, body?: object) => {
      const init = { method: "POST", body: JSON.stringify(body) };
      try {
        const answer = await fetch(url(name) + path, { headers, ...(body && init) });
        // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
        return { status: answer.status, body: (await answer.json()) as any };
      } catch {
        return { status: 0, body: null };
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const process of running.values()) process.kill("SIGKILL");
      await Promise.all([...running.values()].map(({ exited }) => exited));
      await sqld.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

type Services = Awaited<ReturnType<typeof createServices>>;

/** Writes one record after the other, each at either node and under its id until it is answered. */
function startWriter({ send }: Services, at: string) {
  const answered: { readonly id: string; readonly status: number }[] = [];
  const over = new AbortController();
  const write = async (): Promise<void> => {
    for (let count = 0; !over.signal.aborted;) {
      const id = createId();
      const data = { name: "x" };
      const change = { resource_type: "album", operation: "insert", id, data, mutation_id: id };
      for (let status = 0; status !== 200 && status !== 202; count += 1) {
        const node = count % 2 === 0 ? "first" : "second";
        ({ status } = await send(node, `${at}/commit?queue=1`, change));
        if (status === 200 || status === 202) answered.push({ id, status });
        else await Bun.sleep(5);
      }
    }
  };
  const ended = write();
  return {
    answered,
    stop: async (): Promise<void> => {
      over.abort();
      await ended;
    },
  };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(20);
}

test("I1, I4, I5: what was told to wait stands once and in order where a copy of two nodes leads, whoever dies", async () => {
  await using services = await createServices();
  const { send, kill, start } = services;
  const library = createId();
  const at = `/v1/libraries/${library}`;
  await send("leader", "/v1/libraries", { name: "home", id: library });
  const request = { library_id: library, url: services.url("leader"), token: services.token };
  expect((await send("first", "/v1/following", request)).status).toBe(201);
  await until(async () => (await send("second", `${at}/follower`)).body?.state === "live");
  const writers = Array.from({ length: 4 }, () => startWriter(services, at));
  const answered = (status: number): number =>
    writers.reduce(
      (sum, one) => sum + one.answered.filter((write) => write.status === status).length,
      0,
    );
  await until(() => answered(200) > 20);
  await kill("leader");
  await until(() => answered(202) > 300);

  // What waits goes to the leader, which has some of it when it is nobody's leader any more.
  await start("leader");
  const fromLeader = async () => (await send("leader", at)).body?.head as number;
  const before = await fromLeader();
  await until(async () => (await fromLeader()) > before + 50);
  const promote = (name: Name) => send(name, `${at}/leader/promote`, {});
  const asked = [promote("first"), promote("second")];
  await kill("first");
  await Promise.all([...asked, start("first")]);
  const leads = async () => (await send("second", `${at}/leader`)).body;
  await until(async () => {
    if ((await send("second", `${at}/follower`)).status === 200) await promote("second");
    return [services.url("first"), services.url("second")].includes((await leads())?.leader_url);
  });
  const taken = answered(200);
  await until(() => answered(200) > taken + 50);
  const atLeader = await fromLeader();
  await Promise.all(writers.map(({ stop }) => stop()));
  expect(await fromLeader()).toBe(atLeader);

  const client = createClient({ url: services.databaseUrl(library) });
  const all = async (sql: string) => (await client.execute(sql)).rows.map((row) => Array.from(row));
  const log = await all("SELECT sequence, record_id FROM sync_log ORDER BY sequence");
  expect(log.map(([sequence]) => sequence)).toEqual(dense(log.length));
  const places = new Map(log.map(([sequence, record]) => [record, Number(sequence)]));
  expect(places.size).toBe(log.length);
  for (const writer of writers) {
    const waited = writer.answered.filter(({ status }) => status === 202);
    expect(waited.filter(({ id }) => !places.has(id))).toEqual([]);
    // What the old leader alone has was told 200 by it.
    const found = writer.answered.flatMap(({ id }) => places.get(id) ?? []);
    expect(found).toEqual(found.toSorted((a, b) => a - b));
  }
  expect(await all("SELECT mutation_id FROM outbox")).toEqual([]);
  client.close();
}, 60_000);
