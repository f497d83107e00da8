import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { createApp } from "../../src/http/app.ts";
import type { Limits } from "../../src/protocol/limits.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { startService, tokenFor } from "./world.ts";

export interface ClusterOptions {
  readonly count?: number;
  readonly leaseMs?: number;
  readonly limits?: Partial<Limits>;
  readonly telemetry?: Telemetry;
  /** Whose clocks are wrong, and by how much. */
  readonly aheadMs?: Readonly<Record<string, number>>;
}

/** A stream that swallows what comes while it is mute. */
function mute({ body, status, headers }: Response, isMute: () => boolean): Response {
  const gate = new TransformStream<Uint8Array, Uint8Array>({
    transform: (part, controller) => {
      if (!isMute()) controller.enqueue(part);
    },
  });
  return new Response(body?.pipeThrough(gate), { status, headers });
}

/** Several nodes over the same database files; requests between them are counted, and can be cut. */
export async function createCluster(options: ClusterOptions = {}) {
  const { count = 2, leaseMs = 15_000, limits = {}, telemetry = silentTelemetry } = options;
  const directory = await mkdtemp(join(tmpdir(), "syncline-cluster-"));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const cut = new Set<string>();
  const slow = new Set<string>();
  const late = new Set<string>();
  const requests: { readonly from: string; readonly to: string; readonly path: string }[] = [];
  const apps = new Map<string, ReturnType<typeof createApp>>();
  let isLosing = false;
  const id = createId();
  const at = `/v1/libraries/${id}`;

  const start = async (name: string) => {
    const service = await startService({
      directory,
      limits,
      telemetry,
      deviceId: name,
      nodeUrl: `http://${name}`,
      leaseMs,
      aheadMs: options.aheadMs?.[name],
      fetch: async (url, init) => {
        const { host, pathname } = new URL(url);
        requests.push({ from: name, to: host, path: pathname });
        const app = apps.get(host);
        if (app === undefined || cut.has(host)) throw new TypeError(`${host} is unreachable`);
        if (slow.has(host)) {
          const { promise, reject } = Promise.withResolvers<never>();
          init?.signal?.addEventListener("abort", () => reject(new TypeError("Aborted.")));
          await promise;
        }
        if (late.delete(host)) {
          await new Promise((resolve) => init?.signal?.addEventListener("abort", resolve));
          return new Response(new ReadableStream());
        }
        const answer = await app.request(url, init);
        if (pathname.endsWith("/events")) return mute(answer, () => slow.has(host));
        if (!isLosing) return answer;
        isLosing = false;
        throw new TypeError("The connection was reset.");
      },
    });
    const app = createApp(service);
    apps.set(name, app);
    const ask = async (path: string, init: RequestInit = {}) =>
      app.request(path, {
        ...init,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          ...(init.headers as Record<string, string> | undefined),
        },
      });
    const send = async (method: string, path: string, body?: unknown) => {
      const response = await ask(path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
      return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as any };
    };
    const insert = (album: string, albumId: string = createId(), more: object = {}) =>
      send("POST", `${at}/commit`, {
        resource_type: "album",
        operation: "insert",
        id: albumId,
        data: { name: album },
        ...more,
      });
    return { name, service, ask, send, insert, library: () => service.catalog.open(id) };
  };
  const nodes: Awaited<ReturnType<typeof start>>[] = [];
  for (const name of ["a", "b", "c"].slice(0, count)) nodes.push(await start(name));
  await nodes[0]?.send("POST", "/v1/libraries", { name: "home", id });
  return {
    nodes: nodes as [(typeof nodes)[number], (typeof nodes)[number], (typeof nodes)[number]],
    at,
    token,
    /** Nodes that no other node reaches. */
    cut,
    requests,
    /** Nodes that take requests of other nodes and do not answer; their streams say nothing more. */
    slow,
    /** Nodes whose next answer to another node comes when that has given it up, and is a silent stream. */
    late,
    /** The next request between nodes is carried out, but its answer never arrives. */
    loseNextAnswer: () => {
      isLosing = true;
    },
    /** Sequence and epoch of every entry, straight from SQL. */
    log: async () => {
      const { database } = await (nodes[0] ?? (await start("a"))).library();
      const sql = "SELECT sequence, epoch FROM sync_log ORDER BY sequence";
      const [rows = []] = await database.read([{ sql, args: [] }]);
      return rows as unknown as [sequence: number, epoch: number][];
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map(({ service }) => service.stop()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
