import { expect, test } from "bun:test";
import { readdir, readlink } from "node:fs/promises";
import { systemClock } from "../../src/base/clock.ts";
import { createId } from "../../src/base/id.ts";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { openStandardBody } from "../../src/stream/body.ts";
import type { OpenBody } from "../../src/stream/body.ts";
import { createPair } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { WorldOptions } from "../support/world.ts";

const LIBRARIES = 30;
const OPEN_MAX = 5;
const CALLERS = 40;
/** Two connections, each with its database, log and index. */
const FILES_OF_LIBRARY = 6;
/** Files of closed ones that the driver still holds, until there is time to collect them. */
const FILES_LEFT = 100;

async function countFiles(directory: string): Promise<number> {
  const files = await readdir("/proc/self/fd");
  const targets = await Promise.all(
    files.map((file) => readlink(`/proc/self/fd/${file}`).catch(() => "")),
  );
  return targets.filter((target) => target.startsWith(directory)).length;
}

test("more libraries than may be open: all are written, and neither they nor their files pile up", async () => {
  await using world = await createWorld({ limits: { openLibraries: OPEN_MAX } });
  const { catalog } = world.service;
  const ids: string[] = [];
  for (let n = 0; n < LIBRARIES; n += 1)
    ids.push((await catalog.create({ name: `l${n}` })).state.id);
  let next = 0;
  let mostOpen = 0;
  const call = async (): Promise<void> => {
    while (next < ids.length * 2) {
      const id = ids[(next++ * 7) % ids.length];
      const change = { resource_type: "album", operation: "insert", id: createId() };
      const { status } = await world.send("POST", `/v1/libraries/${id}/commit`, {
        ...change,
        data: { name: "a" },
      });
      expect(status).toBe(200);
      mostOpen = Math.max(mostOpen, catalog.openCount);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  expect(mostOpen).toBeLessThanOrEqual(OPEN_MAX);
  if (process.platform === "linux") {
    const most = OPEN_MAX * FILES_OF_LIBRARY + FILES_LEFT;
    expect(await countFiles(world.directory)).toBeLessThanOrEqual(most);
  }
  const { body } = await world.send("GET", "/v1/libraries?limit=1000");
  const heads = body.libraries.filter((one: { head: number }) => one.head === 2);
  expect(heads).toHaveLength(LIBRARIES);
}, 60_000);

test("many libraries that are opened or closed at once let everything else have a turn in between", async () => {
  const files = new Set<string>();
  await using world = await createWorld({
    decorate: (name, database) => {
      files.add(name);
      const close = (): void => {
        files.delete(name);
        database.close();
      };
      return { ...database, close };
    },
  });
  const { catalog } = world.service;
  const ids: string[] = [];
  for (let n = 0; n < 20; n += 1) ids.push((await catalog.create({ name: `l${n}` })).state.id);
  const open = async (id: string): Promise<void> => void (await catalog.open(id));
  for (const call of [(id: string) => catalog.release(id), open]) {
    const seen = new Set<number>();
    const stop = systemClock.every(1, () => seen.add(files.size));
    await Promise.all(ids.map(call));
    stop();
    expect(seen.size).toBeGreaterThan(5);
  }
});

test("who is not reached in time gives up, and nothing is opened for it", async () => {
  let openedCount = 0;
  await using world = await createWorld({
    limits: { libraryWaitMs: 10 },
    decorate: (_, database) => {
      openedCount += 1;
      return database;
    },
  });
  const { catalog } = world.service;
  const ids: string[] = [];
  const create = () => catalog.create({ name: "l" }).catch(() => null);
  while (ids.length < 20) {
    const made = await create();
    if (made !== null) ids.push(made.state.id);
  }
  await Promise.all(ids.map((id) => catalog.release(id)));
  openedCount = 0;
  const answers = await Promise.all(ids.map((id) => world.send("GET", `/v1/libraries/${id}`)));
  const reached = answers.filter(({ status }) => status === 200);
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(20 - reached.length);
  expect(reached.length).toBeLessThan(20);
  expect(openedCount).toBe(reached.length);
});

test("a library that is closed is told of no more, so that those after the thousandth are", async () => {
  const output = { level: "error", isPretty: false, write: () => {} } as const;
  const { telemetry, metrics } = openTelemetry(output);
  await using world = await createWorld({ telemetry });
  const { id } = world.library.state;
  const told = `syncline_library_head{library="${id}"}`;
  while (!metrics().includes(told)) await Bun.sleep(5);
  await world.service.catalog.release(id);
  expect(metrics()).not.toContain(told);
});

/** One library may be open, and is; `other` is a second one. */
async function createNarrow(options: WorldOptions = {}) {
  const world = await createWorld({ ...options, limits: { openLibraries: 1, ...options.limits } });
  const request = (path: string, init: RequestInit = {}, type = "application/json") => {
    const headers = { authorization: `Bearer ${world.token}`, "content-type": type };
    return world.app.request(`${world.at}${path}`, { ...init, headers });
  };
  const create = (): Promise<{ status: number; body: { id: string } }> =>
    world.send("POST", "/v1/libraries", { name: "other" });
  let made = await create();
  while (made.status !== 201) made = await create();
  const askForOther = () => world.send("GET", `/v1/libraries/${made.body.id}`);
  while (!(await request("")).ok);
  return {
    ...world,
    request,
    create,
    askForOther,
    /** Resolves when nothing holds the first library any more. */
    reachOther: async () => {
      while ((await askForOther()).status === 503);
    },
  };
}

const album = (): string => JSON.stringify({ id: createId(), name: "a" });

/** Requests whose body ends when the test says so, by what they send before and after. */
const slow: Readonly<Record<string, { path: string; type: string; parts: () => string[] }>> = {
  "a commit": {
    path: "/resources/album/commit",
    type: "application/json",
    parts: () => [`{"operation":"insert","id":"${createId()}",`, `"data":{"name":"a"}}`],
  },
  "a bulk": {
    path: "/bulk?resource_type=album",
    type: "application/x-ndjson",
    parts: () => [`${album()}\n`, `${album()}\n`],
  },
};

for (const [name, { path, type, parts }] of Object.entries(slow)) {
  test(`${name} whose body is slow keeps its library open, and who wants another waits for it`, async () => {
    await using world = await createNarrow();
    const [first = "", last = ""] = parts();
    const begun = Promise.withResolvers<void>();
    const rest = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          begun.resolve();
          controller.enqueue(new TextEncoder().encode(first));
          await rest.promise;
          controller.enqueue(new TextEncoder().encode(last));
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const init = { method: "POST", body, duplex: "half" };
    const sent = world.request(path, init as RequestInit, type);
    await begun.promise;
    const asked = world.askForOther();
    await Promise.race([asked, Bun.sleep(100)]);
    rest.resolve();
    const { status } = await sent;
    expect(status).toBe(200);
    expect(await asked).toMatchObject({ status: 200 });
  });
}

/** A body that begins when it is read, as those of a server do. */
const openLate: OpenBody = (options) => {
  let inner: ReadableStreamDefaultReader<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        inner ??= openStandardBody(options).getReader();
        const { value } = await inner.read();
        if (value === undefined) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => inner?.cancel(),
    },
    { highWaterMark: 0 },
  );
};

test("while all that may be open is listened to, another waits a little and is told to come back", async () => {
  await using world = await createNarrow({ openBody: openLate, limits: { libraryWaitMs: 50 } });
  const { body } = await world.request("/events");
  const { status, headers, body: problem } = await world.askForOther();
  expect([status, problem.code, headers.get("retry-after")]).toEqual([503, "overloaded", "1"]);
  const reader = body?.getReader();
  const read = async () => new TextDecoder().decode((await reader?.read())?.value);
  expect(await read()).toContain("hello");
  expect(await world.create()).toMatchObject({ status: 503 });
  const { body: list } = await world.send("GET", "/v1/libraries");
  expect(list.libraries).toHaveLength(2);
  const discovered = (search = "") => world.send("GET", `/v1/sync-setup/discover${search}`);
  expect((await discovered()).body.libraries).toHaveLength(2);
  const { id } = world.library.state;
  expect((await discovered(`?library_id=${id}`)).body.libraries).toMatchObject([{ id }]);
  await world.insertAlbum("first");
  expect(await read()).toContain("ResourceChanged");
  await reader?.cancel();
  await world.reachOther();
});

test("a stream whose body is never read lets its library go", async () => {
  await using world = await createNarrow({ openBody: openLate, limits: { libraryWaitMs: 50 } });
  expect(await world.request("/events", { method: "HEAD" })).toMatchObject({ status: 200 });
  await world.reachOther();
});

test("who reads a snapshot keeps the library open, until nothing was read for long", async () => {
  await using world = await createNarrow({ limits: { slowReaderMs: 300 } });
  const lines = Array.from({ length: 5_000 }, album).join("\n");
  const { path, type } = slow["a bulk"] ?? {};
  const stored = await world.request(path ?? "", { method: "POST", body: lines }, type);
  expect(stored.status).toBe(200);
  const whole = await (await world.request("/snapshot")).text();
  expect(whole.trim().split("\n")).toHaveLength(5_002);
  const stalled = await world.request("/snapshot");
  while ((await world.askForOther()).status === 503);
  await expect(stalled.text()).rejects.toThrow("Nobody took");
});

test("a step of a follower keeps its copy open", async () => {
  await using pair = await createPair({ limits: { openLibraries: 1 } });
  const { catalog } = pair.phone.service;
  const follower = await pair.follow();
  await follower.settle();
  await pair.leader.insertAlbum("first");
  const { send } = pair.wire;
  let asked: Promise<string> | undefined;
  pair.wire.send = async (url, init) => {
    asked ??= catalog.use(pair.phone.library.state.id, async ({ state }) => state.name);
    await Bun.sleep(5);
    expect(catalog.libraries.map(({ state }) => state.id)).toEqual([pair.libraryId]);
    return send(url, init);
  };
  expect(await follower.settle()).toBe("live");
  expect(await asked).toBe("home");
});

test("a library that cannot be opened leaves no file open", async () => {
  let open = 0;
  let isBroken = false;
  await using world = await createWorld({
    decorate: (name, database) => {
      open += 1;
      const close = (): void => {
        open -= 1;
        database.close();
      };
      const write = (): Promise<never> => Promise.reject(new Error("The disk is full."));
      return name === "catalog" || !isBroken
        ? { ...database, close }
        : { ...database, close, write };
    },
  });
  const before = open;
  isBroken = true;
  await world.service.catalog.release(world.library.state.id);
  const { status } = await world.send("GET", world.at);
  isBroken = false;
  expect([status, open]).toEqual([500, before - 1]);
});
