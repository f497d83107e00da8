/**
 * Nodes over an sqld primary and a replica of it: one node reads from the replica, which may be
 * behind; the way between the two servers can be cut.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { startCli } from "../support/cli-process.ts";
import type { CliProcess } from "../support/cli-process.ts";
import { startSqld } from "../support/nodes.ts";
import { freePorts } from "../support/sqld.ts";
import { tokenFor } from "../support/world.ts";

/** A way to a port that can be cut: what stands is broken, and nobody new gets through. */
function createGate(port: number, to: number) {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(to, "127.0.0.1");
    for (const socket of [near, far]) {
      open.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          open.delete(socket);
          for (const end of [near, far]) end.destroy();
        });
    }
    near.pipe(far).pipe(near);
  }).listen(port, "127.0.0.1");
  return {
    cut: (isNow: boolean): void => {
      isCut = isNow;
      if (isNow) for (const socket of open) socket.destroy();
    },
    close: () => server.close(),
  };
}

/** A primary, its replica, a node on the primary and a node that reads from the replica. */
async function createPlace() {
  const directory = await mkdtemp(join(tmpdir(), "syncline-replica-"));
  const [grpc = 0, gate = 0, first = 0, second = 0] = freePorts(4);
  const serve = (name: string, more: readonly string[]) =>
    startSqld(join(directory, name), undefined, { host: "127.0.0.1", more });
  const primary = await serve("primary", ["--grpc-listen-addr", `127.0.0.1:${grpc}`]);
  const way = createGate(gate, grpc);
  const replica = await serve("replica", ["--primary-grpc-url", `http://127.0.0.1:${gate}`]);
  const start = (port: number, more: Record<string, string> = {}): Promise<CliProcess> =>
    startCli(["start"], {
      env: {
        PORT: String(port),
        NODE_URL: `http://127.0.0.1:${port}`,
        DATABASE_URL: primary.url,
        LEASE_MS: "2000",
        ...more,
      },
    });
  const leader = await start(first);
  const id = createId();
  const at = `/v1/libraries/${id}`;
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const send = async ({ url }: CliProcess, path: string, body?: unknown) => {
    const response = await fetch(`${url}${path}`, {
      headers,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    return { status: response.status, body: (await response.json()) as any };
  };
  await send(leader, "/v1/libraries", { name: "home", id });
  const reader = await start(second, { DATABASE_REPLICA_URL: replica.url });
  const commit = async (node: CliProcess): Promise<{ id: string; sequence: number }> => {
    const album = createId();
    const { status, body } = await send(node, `${at}/commit`, {
      resource_type: "album",
      operation: "insert",
      id: album,
      data: { name: "x" },
    });
    expect(status).toBe(200);
    return { id: album, sequence: body.sequence as number };
  };
  const read = (node: CliProcess, album: string, least?: number) =>
    send(
      node,
      `${at}/resources/album/${album}${least === undefined ? "" : `?min_sequence=${least}`}`,
    );
  const list = (node: CliProcess) => send(node, `${at}/resources/album?limit=1000`);
  return {
    leader,
    reader,
    primary,
    way,
    /** Resolves once the replica itself has a head. */
    replicaHas: async (head: number): Promise<void> => {
      const client = createClient({ url: replica.url });
      for (let found = -1; found < head; await Bun.sleep(20)) {
        const { rows } = await client.execute("SELECT head FROM library");
        found = Number(rows[0]?.["head"]);
      }
      client.close();
    },
    commit,
    read,
    list,
    at,
    send,
    [Symbol.asyncDispose]: async () => {
      for (const node of [leader, reader]) node.kill("SIGKILL");
      for (const { child } of [replica, primary]) child.kill("SIGKILL");
      await Promise.all([leader.exited, reader.exited, replica.child.exited, primary.child.exited]);
      way.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

test("read your writes: whoever names a sequence reads at least that, through a node that reads from a replica", async () => {
  await using place = await createPlace();
  const { leader, reader } = place;
  for (let round = 0; round < 60; round += 1) {
    const { id, sequence } = await place.commit(round % 2 === 0 ? reader : leader);
    const { status, body } = await place.read(reader, id, sequence);
    expect([status, body.id]).toEqual([200, id]);
    const { resources, sequence: at } = (await place.list(reader)).body;
    // What an answer says it knows is in it, and it never says less than it has said before.
    expect(at).toBeGreaterThanOrEqual(sequence);
    expect(resources.length).toBeGreaterThanOrEqual(at);
  }
}, 60_000);

test("a replica that is cut off says how old its answer is; what it lacks is read from the primary, and it answers alone when that is dead", async () => {
  await using place = await createPlace();
  const { leader, reader, primary, way } = place;
  const first = await place.commit(leader);
  expect((await place.read(reader, first.id, first.sequence)).status).toBe(200);
  await place.replicaHas(1);

  way.cut(true);
  const second = await place.commit(leader);
  const stale = await place.list(reader);
  expect([stale.body.sequence, stale.body.resources.length]).toEqual([1, 1]);
  expect((await place.read(reader, second.id, second.sequence)).status).toBe(200);
  // From here on this node knows of the second, and never again answers without it.
  const fresh = await place.list(reader);
  expect([fresh.body.sequence, fresh.body.resources.length]).toEqual([2, 2]);

  way.cut(false);
  const third = await place.commit(reader);
  expect((await place.read(reader, third.id, third.sequence)).status).toBe(200);

  await place.replicaHas(3);
  primary.child.kill("SIGKILL");
  await primary.child.exited;
  const alone = await place.list(reader);
  expect([alone.body.sequence, alone.body.resources.length]).toEqual([3, 3]);
  const beyond = await place.read(reader, third.id, 4);
  expect([beyond.status, beyond.body.retry]).toEqual([503, "later"]);
}, 60_000);
