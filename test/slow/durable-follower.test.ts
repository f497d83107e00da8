/** The object of a library that follows a leader elsewhere, on a real workerd over a real sqld. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { fileStorage, sqldStorage, startBun, startWorkerd } from "../support/runtimes.ts";
import type { Running, RunningWorkerd, Storage } from "../support/runtimes.ts";
import { follow } from "../suites/conformance/stream-reader.ts";
import { createLibrary } from "../suites/conformance/world.ts";

let storage: Storage;
let workerd: RunningWorkerd;
let leader: Running;

beforeAll(async () => {
  storage = await sqldStorage("byPath");
  workerd = await startWorkerd(storage, {
    entry: "test/support/worker-inside.ts",
    settings: { LEASE_MS: "2000" },
  });
  leader = await startBun(await fileStorage());
}, 60_000);
afterAll(async () => {
  await workerd.stop();
  await leader.stop();
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(50);
}

/** A library of the leader with one record, and its copy on workerd once that has all of it. */
async function createCopy() {
  const library = await createLibrary(leader);
  await library.album("first");
  const send = async (method: string, path: string, body?: object) => {
    const response = await fetch(workerd.url + path, {
      method,
      headers: {
        authorization: `Bearer ${workerd.ownerToken}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    const read = text.startsWith("{") ? (JSON.parse(text) as any) : null;
    return { status: response.status, body: read };
  };
  const { id, at } = library;
  const turn = async (url: string): Promise<number> => {
    const request = { library_id: id, url, token: leader.ownerToken };
    return (await send("POST", "/v1/following", request)).status;
  };
  expect(await turn(leader.url)).toBe(201);
  const isLive = async () => (await send("GET", `${at}/follower`)).body?.state === "live";
  await until(isLive);
  return {
    library,
    onWorkerd: { ...library, target: workerd },
    isLive,
    turn,
    send: (method: string, path: string, body?: object) => send(method, at + path, body),
    names: async (): Promise<string[]> => {
      const { body } = await send("GET", `${at}/resources/album`);
      return body.resources.map(({ name }: { name: string }) => name);
    },
  };
}

test("I7: an object follows while it is awake, rests when nobody asks it, and goes on when somebody does", async () => {
  const { library, onWorkerd, isLive, names } = await createCopy();
  {
    await using stream = await follow(onWorkerd, { query: { after: "1" } });
    await library.album("second");
    await stream.until(({ id }) => id === 2);
  }
  expect(await names()).toEqual(["first", "second"]);
  const hints = async (): Promise<number> => {
    const figures = await (await fetch(`${leader.url}/metrics`)).text();
    return Number(/^syncline_stream_subscribers (\d+)/m.exec(figures)?.[1]);
  };
  expect(await hints()).toBe(1);
  await until(async () => (await hints()) === 0);
  // Refused by workerd as long as a timer or a stream of the object lives.
  await workerd.evict(library.id);
  await library.album("third");
  await until(isLive);
  await until(async () => (await names()).length === 3);
}, 60_000);

test("I1, I4: an object that dies (ctx.abort) while its copy is promoted goes on with that, and loses nothing that waited", async () => {
  const { library, send, turn } = await createCopy();
  const names = Array.from({ length: 150 }, (_, at) => `waited ${at}`);
  // The leader is gone.
  expect(await turn("http://127.0.0.1:1")).toBe(201);
  for (const name of names) {
    const id = createId();
    const change = { resource_type: "album", operation: "insert", id, data: { name } };
    const body = { ...change, mutation_id: id };
    expect((await send("POST", "/commit?queue=1", body)).status).toBe(202);
  }
  const promote = () => send("POST", "/leader/promote").catch(() => ({ status: 0 }));
  const asked = promote();
  const died = send("POST", "/inside/abort");
  await Promise.all([asked, died]);
  await until(async () => (await promote()).status === 200);
  const client = createClient({
    url: storage.env["DATABASE_URL"]?.replace("{database}", library.id) ?? "",
  });
  const { rows } = await client.execute(
    "SELECT sequence, data->>'name' FROM sync_log ORDER BY sequence",
  );
  const { rows: outbox } = await client.execute("SELECT id FROM outbox");
  client.close();
  expect(rows.map((row) => Array.from(row))).toEqual(names.map((name, at) => [at + 2, name]));
  expect(outbox.length).toBe(0);
}, 60_000);
