/**
 * Lines of mutations are left with a follower while it and its leader are killed with SIGKILL, each in
 * turn, and the way between them answers 503, loses replies, breaks them off and sends twice. In the
 * end each mutation took effect once or was refused, in the order its writer made it (I1, I4, I5, I7).
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { SyncError, toProblem } from "../../src/protocol/errors.ts";
import { startCli } from "../support/cli-process.ts";
import { freePorts } from "../support/sqld.ts";
import { dense, tokenFor } from "../support/world.ts";

/** Stands before the leader; every fifth write or so meets one of its faults, in turn. */
function createWay(leaderUrl: string) {
  const way = { isCalm: false, faults: 0 };
  let turn = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("accept-encoding", "identity");
      const body = request.method === "POST" ? await request.arrayBuffer() : null;
      const { method, signal } = request;
      const pass = () =>
        fetch(`${leaderUrl}${pathname}${search}`, { method, headers, body, signal });
      const isWrite = method === "POST" && /(mutations|commit|batch)$/.test(pathname);
      const fault = isWrite && !way.isCalm ? (turn += 1) % 16 : 0;
      const busy = toProblem(new SyncError("overloaded", { retryAfterSeconds: 1 }));
      if (fault % 4 === 3) way.faults += 1;
      try {
        if (fault === 3) return Response.json(busy, { status: 503 });
        if (fault === 7) {
          await (await pass()).text();
          return new Response("The reply was lost.", { status: 500 });
        }
        if (fault === 11) {
          const text = await (await pass()).text();
          return new Response(text.slice(0, text.length / 2));
        }
        if (fault === 15) await Promise.all([pass(), pass()]);
        return await pass();
      } catch {
        return new Response(null, { status: 502 });
      }
    },
  });
  return { way, url: server.url.origin, stop: () => server.stop(true) };
}

interface Sent {
  readonly mutation: { readonly mutation_id: string; readonly isBad: boolean };
  readonly answer: { readonly queued?: true; readonly problem?: object };
}

/** Sends lines of edits of one record, one after another, until it is told to stop. */
async function writeLines(url: string, device: string, quiet: AbortSignal): Promise<Sent[]> {
  const sent: Sent[] = [];
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    "x-device-id": device,
  };
  const record = createId();
  let count = 0;
  const change = (operation: string, id: string) => ({
    resource_type: "album",
    operation,
    id,
    data: { name: `${device} ${(count += 1)}` },
  });
  for (let round = 1; !quiet.aborted; round += 1) {
    let left = Array.from({ length: 1 + ((round * 7) % 30) }, (_, at) => {
      const mutation_id = createId();
      if (at % 9 === 8) return { mutation_id, isBad: true, commit: change("update", createId()) };
      const commit = change("upsert", record);
      if (at % 4 < 3) return { mutation_id, isBad: false, commit };
      return { mutation_id, isBad: false, batch: { changes: [commit] } };
    });
    while (left.length > 0) {
      const mutations = left.map(({ isBad: _isBad, ...mutation }) => mutation);
      const body = JSON.stringify({ mutations });
      const answered = await fetch(url, { method: "POST", headers, body }).catch(() => null);
      const { answers = [] } = ((await answered?.json().catch(() => null)) ?? {}) as {
        answers?: Sent["answer"][];
      };
      for (const [at, answer] of answers.entries()) {
        const mutation = left[at];
        if (mutation !== undefined) sent.push({ mutation, answer });
      }
      left = left.slice(answers.length);
      await Bun.sleep(20);
    }
  }
  return sent;
}

async function readAll(path: string) {
  const client = createClient({ url: `file:${path}` });
  const all = async (sql: string) => (await client.execute(sql)).rows.map((row) => Array.from(row));
  const state = {
    albums: await all("SELECT id, version, name, origin_device_id FROM albums ORDER BY id"),
    log: (await all(
      "SELECT sequence, mutation_id, transaction_id, data FROM sync_log ORDER BY sequence",
    )) as [number, string, string, string][],
    refused: await all("SELECT mutation_id FROM outbox WHERE problem->>'code' = 'not_found'"),
    left: await all("SELECT mutation_id FROM outbox WHERE problem IS NULL"),
  };
  client.close();
  return state;
}

test("I1, I4, I5, I7: lines left with a follower take effect once and in order, whoever is killed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-lines-"));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const [leaderPort = 0, followerPort = 0] = freePorts(2);
  const id = createId();
  const at = `/v1/libraries/${id}`;
  const startLeader = () =>
    startCli(["start"], {
      env: {
        PORT: String(leaderPort),
        DATABASE_URL: `file:${directory}/leader/{database}.db`,
        DURABILITY: "normal",
      },
    });
  let leader = await startLeader();
  const { way, url, stop } = createWay(leader.url);
  await fetch(`${leader.url}/v1/libraries`, {
    method: "POST",
    headers,
    body: JSON.stringify({ name: "home", id }),
  });
  const words = ["follow", url, "--library", id, "--token", token, "--port", String(followerPort)];
  const replica = `file:${directory}/replica/{database}.db`;
  const startFollower = () =>
    startCli([...words, "--database", replica], { env: { DURABILITY: "normal" } });
  let follower = await startFollower();
  const quiet = new AbortController();
  const writers = ["one", "two"].map((device) =>
    writeLines(`${follower.url}${at}/mutations?queue=1`, device, quiet.signal),
  );
  for (let round = 0; round < 8; round += 1) {
    await Bun.sleep(150 + round * 70);
    const old = round % 2 === 0 ? leader : follower;
    old.kill("SIGKILL");
    await old.exited;
    if (old === leader) leader = await startLeader();
    else follower = await startFollower();
  }
  quiet.abort();
  const sent = await Promise.all(writers);
  way.isCalm = true;
  const ask = async (node: string, path: string) =>
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    (await (await fetch(`${node}${at}${path}`, { headers })).json()) as any;
  for (let left = 600; left > 0; left -= 1) {
    const { state, head, waiting } = await ask(follower.url, "/follower");
    const isDone = state === "live" && waiting.length === 0;
    if (isDone && head === (await ask(leader.url, "")).head) break;
    await Bun.sleep(100);
  }
  for (const node of [follower, leader]) {
    node.kill("SIGTERM");
    await node.exited;
  }
  await stop();

  const theirs = await readAll(`${directory}/leader/${id}.db`);
  const ours = await readAll(`${directory}/replica/${id}.db`);
  expect(way.faults).toBeGreaterThan(3);
  expect(ours.left).toEqual([]);
  expect(theirs.log.map(([sequence]) => sequence)).toEqual(dense(theirs.log.length));
  expect(ours.albums).toEqual(theirs.albums);
  expect(ours.log).toEqual(theirs.log.slice(-ours.log.length));
  const places = new Map(theirs.log.map(([sequence, mutation]) => [mutation, sequence]));
  expect(places.size).toBe(theirs.log.length);
  const refused = new Set(ours.refused.map(([mutation]) => mutation));
  for (const mutations of sent) {
    const good = mutations.filter(({ mutation }) => !mutation.isBad);
    const order = good.map(({ mutation }) => places.get(mutation.mutation_id) ?? 0);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(0);
    expect(good.filter(({ answer }) => answer.problem !== undefined)).toEqual([]);
    for (const { mutation, answer } of mutations)
      if (mutation.isBad)
        expect(answer.problem !== undefined || refused.has(mutation.mutation_id)).toBe(true);
  }
  const count = sent.flat().filter(({ mutation }) => !mutation.isBad).length;
  expect(theirs.log.length).toBe(count);
  await rm(directory, { recursive: true, force: true });
}, 120_000);
