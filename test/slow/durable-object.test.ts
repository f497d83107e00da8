/**
 * The object of a library on a real workerd, over a real sqld: what it does while nobody asks, and
 * what remains when Cloudflare takes it out of memory, lets it die, or runs two of them.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { sqldStorage, startWorkerd } from "../support/runtimes.ts";
import type { RunningWorkerd, Storage, WorkerdOptions } from "../support/runtimes.ts";
import { freePorts } from "../support/sqld.ts";
import { dense } from "../support/world.ts";
import { follow } from "../suites/conformance/stream-reader.ts";
import { createLibrary } from "../suites/conformance/world.ts";
import type { Answer, Library } from "../suites/conformance/world.ts";

const LEASE_MS = 2_000;

let storage: Storage;
let workerd: RunningWorkerd;
/** What it logs. */
const said: string[] = [];

/** Another deployment of the Worker over the same databases. */
const deploy = ({ settings, ...options }: WorkerdOptions = {}) =>
  startWorkerd(
    { ...storage, remove: async () => {} },
    {
      entry: "test/support/worker-inside.ts",
      settings: { LEASE_MS: String(LEASE_MS), ...settings },
      ...options,
    },
  );

beforeAll(async () => {
  storage = await sqldStorage("byPath");
  workerd = await deploy({ settings: { LOG_LEVEL: "debug" }, onLog: (line) => said.push(line) });
}, 60_000);
afterAll(async () => {
  await workerd.stop();
  await storage.remove();
});

/** Runs SQL in the database of a library, past every object. */
async function sql<Row>(library: string, statement: string): Promise<Row[]> {
  const url = storage.env["DATABASE_URL"]?.replace("{database}", library) ?? "";
  const client = createClient({ url });
  try {
    return (await client.execute(statement)).rows as unknown as Row[];
  } finally {
    client.close();
  }
}

/** The lease as the database has it; `leftMs` by its own clock. */
async function leaseOf(library: string) {
  const [row] = await sql<{ epoch: number; leftMs: number }>(
    library,
    `SELECT epoch, lease_expires_at - CAST(unixepoch('subsec') * 1000 AS INTEGER) AS leftMs FROM library`,
  );
  return row ?? { epoch: 0, leftMs: 0 };
}

async function sequencesOf(library: string): Promise<number[]> {
  const rows = await sql<{ sequence: number }>(
    library,
    "SELECT sequence FROM sync_log ORDER BY sequence",
  );
  return rows.map(({ sequence }) => sequence);
}

const objectsIn = (folder: string): string => join(folder, "syncline-LibraryObject");

/** Lets the time of every alarm come: workerd keeps it beside the objects and again within each. */
async function passTheDay(folder: string): Promise<void> {
  for (const name of await readdir(objectsIn(folder))) {
    if (!name.endsWith(".sqlite")) continue;
    using file = new Database(join(objectsIn(folder), name));
    if (name === "metadata.sqlite") file.run("UPDATE _cf_ALARM SET scheduled_time = 0");
    else file.run("UPDATE _cf_METADATA SET value = 0 WHERE key = 1");
  }
}

/** When the alarms of a folder's objects are due. */
function alarmsIn(folder: string): number[] {
  using file = new Database(join(objectsIn(folder), "metadata.sqlite"));
  const rows = file.query("SELECT scheduled_time / 1000000 FROM _cf_ALARM").values();
  return rows.map(([atMs]) => atMs as number);
}

/** Looks until it is so; the test's own time limit ends a wait that is in vain. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(100);
}

/** The same library through another deployment. */
const through = (other: RunningWorkerd, { at, id }: Library) => {
  const ask = async (method: string, path: string, body?: object): Promise<Answer> => {
    const response = await fetch(other.url + at + path, {
      method,
      headers: {
        authorization: `Bearer ${other.ownerToken}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answered = (await response.json().catch(() => null)) as Answer["body"];
    return { status: response.status, headers: response.headers, body: answered };
  };
  return {
    ask,
    album: (name: string) =>
      ask("POST", "/commit", {
        resource_type: "album",
        operation: "insert",
        id: crypto.randomUUID(),
        data: { name },
      }),
    id,
  };
};

test("an object whose stream is idle renews its lease without any request", async () => {
  const library = await createLibrary(workerd);
  await using stream = await follow(library);
  await stream.next();
  const end = performance.now() + 3 * LEASE_MS;
  while (performance.now() < end) {
    const { epoch, leftMs } = await leaseOf(library.id);
    expect(epoch).toBe(1);
    expect(leftMs).toBeGreaterThan(0);
    await Bun.sleep(100);
  }
  expect((await library.album("a")).body).toMatchObject({ sequence: 1, epoch: 1 });
  expect(await stream.next()).toMatchObject({ event: "ResourceChanged", id: 1 });
}, 30_000);

test("a stream that was closed frees its place in the object", async () => {
  const library = await createLibrary(workerd);
  const subscribers = async (): Promise<number> => {
    const { body } = await library.send("GET", "/inside/metrics");
    return Number(/^syncline_stream_subscribers (\d+)/m.exec(body as string)?.[1]);
  };
  const [sse, bare] = [await follow(library), await follow(library, { as: "msgpack" })];
  await Promise.all([sse.next(), bare.next()]);
  expect(await subscribers()).toBe(2);
  await sse[Symbol.asyncDispose]();
  await until(async () => (await subscribers()) === 1);
  await bare[Symbol.asyncDispose]();
  await until(async () => (await subscribers()) === 0);
}, 30_000);

test("an object that nobody asks gives its lease back; evicted, it wakes under the next epoch and streams resume", async () => {
  const library = await createLibrary(workerd);
  for (const name of ["a", "b"]) await library.album(name);
  {
    await using stream = await follow(library, { query: { after: "0" } });
    await stream.until(({ id }) => id === 1);
  }
  await until(async () => (await leaseOf(library.id)).leftMs < -LEASE_MS);
  // An object that is evicted while it comes to rest never does, and workerd waits for it in vain.
  await until(async () =>
    said.some((line) => line.includes("The object rests.") && line.includes(library.id)),
  );
  // Refused by workerd as long as a timer or a stream of the object lives.
  await workerd.evict(library.id);
  expect((await leaseOf(library.id)).epoch).toBe(1);
  await using stream = await follow(library, { headers: { "last-event-id": "1" } });
  expect((await library.album("c")).body).toMatchObject({ sequence: 3, epoch: 2 });
  const frames = await stream.until(({ id }) => id === 3);
  expect(frames.map(({ event, id }) => [event, id])).toEqual([
    ["hello", null],
    ["ResourceChanged", 2],
    ["ResourceChanged", 3],
  ]);
  const { body } = await library.send("GET", "/resources/album");
  expect(body.resources.map(({ name }: { name: string }) => name)).toEqual(["a", "b", "c"]);
}, 60_000);

test("I1, I4, I6: an object that dies (ctx.abort) while it writes and streams loses nothing", async () => {
  const library = await createLibrary(workerd);
  const acknowledged: number[] = [];
  const seen: number[] = [];
  const over = new AbortController();
  const write = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const { status, body } = await library.album("x");
      if (status === 200) acknowledged.push(body.sequence as number);
    }
  };
  const listen = async (): Promise<void> => {
    while (!over.signal.aborted || (seen.at(-1) ?? 0) < Math.max(...acknowledged)) {
      const headers = { "last-event-id": String(seen.at(-1) ?? 0) };
      await using stream = await follow(library, { headers });
      for (;;) {
        const frame = await stream.next().catch(() => null);
        if (frame === null) break;
        if (frame.event === "ResourceChanged" && frame.id !== null) seen.push(frame.id);
        if (over.signal.aborted && (seen.at(-1) ?? 0) >= Math.max(...acknowledged)) return;
      }
    }
  };
  const working = [write(), write(), write(), listen()];
  // Counted from each death on: what it had acknowledged before says nothing of the next object.
  const writeMore = async (): Promise<void> => {
    const enough = acknowledged.length + 20;
    await until(async () => acknowledged.length >= enough);
  };
  await writeMore();
  for (let death = 0; death < 3; death += 1) {
    await library.send("POST", "/inside/abort");
    await writeMore();
  }
  over.abort();
  // The last commit wakes a listener that has seen everything already.
  await library.album("last");
  await Promise.all(working);
  const sequences = await sequencesOf(library.id);
  expect(sequences).toEqual(dense(sequences.length));
  expect(acknowledged.filter((sequence) => !sequences.includes(sequence))).toEqual([]);
  expect(seen).toEqual(dense(seen.length));
  expect((await leaseOf(library.id)).epoch).toBe(4);
}, 60_000);

test("I3: of two objects for one library one leads; the other forwards, refuses without an address, takes over when it dies", async () => {
  const [first = 0, second = 0] = freePorts(2);
  const at = (port: number) => ({ NODE_URL: `http://127.0.0.1:${port}` });
  // A deployment costs a second or more of the processor: two at once, and the one without an
  // address is everybody's.
  const [one, two] = await Promise.all([
    deploy({ name: "one", port: first, settings: at(first) }),
    deploy({ name: "two", port: second, settings: at(second) }),
  ]);
  const library = await createLibrary(one);
  const [other, hidden] = [through(two, library), through(workerd, library)];
  expect((await library.album("a")).body).toMatchObject({ sequence: 1, epoch: 1 });
  expect((await other.album("b")).body).toMatchObject({ sequence: 2, epoch: 1 });
  expect((await other.ask("GET", "/leader")).body).toMatchObject({ is_self: false, epoch: 1 });
  await one.stop();
  // Whoever is asked first when the lease has ended takes it; here the one nobody can reach.
  await until(async () => (await leaseOf(library.id)).leftMs <= 0);
  expect((await hidden.album("c")).body).toMatchObject({ sequence: 3, epoch: 2 });
  expect(await other.album("d")).toMatchObject({ status: 421, body: { code: "not_leader" } });
  // The object dies; nobody asks it again.
  expect((await hidden.ask("POST", "/inside/abort")).status).toBe(500);
  await until(async () => (await other.album("e")).status === 200);
  expect((await leaseOf(library.id)).epoch).toBe(3);
  expect(await sequencesOf(library.id)).toEqual(dense(4));
  await two.stop();
}, 60_000);

test("I1, I3: two copies of one object fence each other; every acknowledged commit stands once", async () => {
  const copy = await deploy();
  const library = await createLibrary(workerd);
  const other = through(copy, library);
  const acknowledged: number[] = [];
  const write = async ({ album }: Pick<typeof other, "album">): Promise<void> => {
    for (let count = 0; count < 40; count += 1) {
      const { status, body } = await album("x");
      if (status === 200) acknowledged.push(body.sequence as number);
      else expect(body.retry).not.toBe("never");
    }
  };
  await Promise.all([write(library), write(other), write(library), write(other)]);
  const sequences = await sequencesOf(library.id);
  expect(sequences).toEqual(dense(sequences.length));
  expect(new Set(acknowledged).size).toBe(acknowledged.length);
  expect(acknowledged.filter((sequence) => !sequences.includes(sequence))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(40);
  const log = "SELECT epoch FROM sync_log ORDER BY sequence";
  const epochs = (await sql<{ epoch: number }>(library.id, log)).map(({ epoch }) => epoch);
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  await copy.stop();
}, 60_000);

test("the daily alarm trims the log of a library that sleeps, after a restart and with no request", async () => {
  const persistIn = await mkdtemp(join(tmpdir(), "syncline-objects-"));
  const before = await deploy({ persistIn });
  const library = await createLibrary(before);
  for (const name of ["a", "b", "c"]) await library.album(name);
  await before.stop();
  const [trigger] = await sql<{ sql: string }>(
    library.id,
    "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%UPDATE ON sync_log%'",
  );
  await sql(library.id, `DROP TRIGGER ${/TRIGGER (\S+)/.exec(trigger?.sql ?? "")?.[1]}`);
  await sql(library.id, "UPDATE sync_log SET timestamp_ms = 0 WHERE sequence <= 2");
  await passTheDay(persistIn);
  const after = await deploy({ persistIn });
  await until(async () => (await sequencesOf(library.id)).length === 1);
  expect(await sequencesOf(library.id)).toEqual([3]);
  expect((await leaseOf(library.id)).epoch).toBe(2);
  await after.stop();
  const [next = 0] = alarmsIn(persistIn);
  expect(next - Date.now()).toBeGreaterThan(23 * 60 * 60 * 1_000);
  await rm(persistIn, { recursive: true, force: true });
}, 60_000);

test.each([
  ["file:./data/{database}.db", "but Cloudflare keeps no files"],
  ["http://127.0.0.1:1/{database}/", "did not answer"],
])("a Worker whose DATABASE_URL is %s logs that this must be another", async (place, why) => {
  const { promise: said, resolve } = Promise.withResolvers<string>();
  const started = await deploy({ settings: { DATABASE_URL: place }, onLog: resolve });
  expect((await fetch(`${started.url}/readyz`)).status).toBe(503);
  expect(await said).toContain(`DATABASE_URL is \\"${place}\\"`);
  expect(await said).toContain(why);
  await started.stop();
});
