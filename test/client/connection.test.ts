import { expect, test } from "bun:test";
import { eventsOf } from "../../src/client/event-feed.ts";
import { createId } from "../../src/base/id.ts";
import { pack } from "../../src/stream/codec.ts";
import { createMemoryDisk, openMemory } from "../../src/client/index.ts";
import { briskClock, createClientWorld, until } from "../support/client-world.ts";
import type { Fetch } from "../support/client-world.ts";

const live = ({ connection }: { connection: string }) => connection === "live";
const album = (name: string) => ({
  resource_type: "album",
  operation: "insert",
  id: createId(),
  data: { name },
});
const refusal = (status: number, code: string) =>
  Response.json(
    { code, status, detail: code, retry: status > 428 ? "later" : "never" },
    { status },
  );

/** Answers the first streams with `answers`, then lets the service answer. */
function first(direct: Fetch, ...answers: (Response | ((real: Response) => Response))[]): Fetch {
  return async (url, init) => {
    if (!url.includes("/events")) return direct(url, init);
    const answer = answers.shift();
    if (answer instanceof Response) return answer;
    const real = await direct(url, init);
    return answer === undefined ? real : answer(real);
  };
}

/** Passes a stream on with some of its chunks changed; chunk 0 is `hello`. */
function edit(real: Response, change: (chunk: Uint8Array, index: number) => Uint8Array | null) {
  let index = 0;
  const body = real.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        const changed = change(chunk, index);
        index += 1;
        if (changed !== null) controller.enqueue(changed);
      },
    }),
  );
  return new Response(body ?? null, real);
}

test("C3: a refused token is asked for again, once; a second refusal waits for a new one", async () => {
  await using world = await createClientWorld();
  const tokens = ["stale", world.token];
  const renewed = world.open({ token: () => tokens.shift() ?? world.token });
  await until(renewed.status, live);
  const refused = world.open({ token: "stale" });
  await until(refused.status, ({ connection }) => connection === "needs-auth");
  expect(refused.status.getSnapshot().problem).toMatchObject({ code: "unauthorized" });
  const handle = refused.insert("album", { name: "kept" });
  refused.setToken(world.token);
  await handle.done;
  await until(refused.status, live);
});

test.each<[string, unknown]>([
  ["undefined", undefined],
  ["a function that answers undefined", () => undefined],
  ["a function that answers no text", async () => ({ token: "wrapped" })],
])(
  "C3: a token that is %s waits for another, says what to do, and loses nothing",
  async (_, token) => {
    await using world = await createClientWorld();
    const client = world.open({ token: token as string });
    const { problem } = await until(client.status, ({ connection }) => connection === "needs-auth");
    expect(problem).toMatchObject({ code: "unauthorized", status: 401, retry: "never" });
    expect(problem?.detail).toContain("setToken");
    await expect(client.request("conflicts")).rejects.toMatchObject({ problem });
    const handle = client.insert("album", { name: "kept" });
    client.setToken(world.token);
    await handle.done;
    await until(client.status, live);
  },
);

for (const status of [429, 500, 503]) {
  test(`C4: a service that answers ${status} is asked again`, async () => {
    await using world = await createClientWorld();
    const client = world.open({ fetch: first(world.direct, refusal(status, "overloaded")) });
    await until(client.status, ({ connection }) => connection === "offline");
    await until(client.status, live);
    expect(client.status.getSnapshot().problem).toBeNull();
  });
}

test("C3: a token that is set again and again as it is opens no other stream", async () => {
  await using world = await createClientWorld();
  let streamCount = 0;
  const client = world.open({
    fetch: (url, init) => {
      if (url.includes("/events")) streamCount += 1;
      return world.direct(url, init);
    },
  });
  await until(client.status, live);
  client.status.subscribe(() => client.setToken(world.token));
  client.setToken(world.token);
  await client.waitFor(await world.write(album("Iceland")));
  expect([streamCount, client.status.getSnapshot().connection]).toEqual([1, "live"]);
});

test("C8: a stream that died while the machine slept is given up as soon as it wakes", async () => {
  await using world = await createClientWorld();
  // Asleep, a machine counts on in days, and often not in milliseconds.
  let sleptMs = 0;
  const clock = { ...briskClock, now: () => briskClock.now() + sleptMs };
  let isDead = false;
  let streamCount = 0;
  const client = world.open({
    clock,
    fetch: async (url, init) => {
      const real = await world.direct(url, init);
      if (!url.includes("/events")) return real;
      streamCount += 1;
      const mayPass = streamCount > 1;
      return edit(real, (chunk) => (isDead && !mayPass ? null : chunk));
    },
  });
  await until(client.status, live);
  isDead = true;
  const sequence = await world.write(album("unheard"));
  sleptMs = 3_600_000;
  await client.waitFor(sequence);
  expect(streamCount).toBe(2);
});

test("C8: a source of tokens that never answers is asked again, and blocks nothing", async () => {
  await using world = await createClientWorld();
  let count = 0;
  const client = world.open({
    silenceMs: 200,
    token: () => ((count += 1) === 1 ? new Promise<never>(() => {}) : world.token),
  });
  const { done } = client.insert("album", { name: "Iceland" });
  await until(client.status, live);
  await done;
});

test.each([200, 400, 401, 403, 404, 426, 500])(
  "C4: what answers %i in the service's place, as a portal of a hotel does, refuses nothing",
  async (status) => {
    await using world = await createClientWorld();
    await world.insertAlbum("Iceland");
    const portal = { isThere: true, count: 0 };
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const seen = new Set<string>();
    let problemCount = 0;
    const client = world.open({
      token: () => world.token,
      onProblem: () => (problemCount += 1),
      fetch: async (url, init) => {
        if (!portal.isThere) return world.direct(url, init);
        if ((portal.count += 1) === 24) resolve();
        const page = `<p>${"Willkommen im Hotel Zürich. ".repeat(50)}</p>`;
        return new Response(page, { status, headers: { "content-type": "text/html" } });
      },
    });
    client.status.subscribe(() => seen.add(client.status.getSnapshot().connection));
    const list = client.query("album.list", {});
    list.subscribe(() => {});
    const { done } = client.insert("album", { name: "Oslo" });
    await enough;
    expect([...seen].toSorted()).toEqual(["connecting", "offline"]);
    expect(client.status.getSnapshot()).toMatchObject({ pendingCount: 1, rejected: [] });
    expect(problemCount).toBeLessThanOrEqual(portal.count);
    portal.isThere = false;
    await done;
    await until(list, ({ data }) => data.length === 2);
  },
);

test("C5: 426 ends it until there is something new; what was written stays queued", async () => {
  await using world = await createClientWorld();
  const client = world.open({ fetch: first(world.direct, refusal(426, "protocol_too_old")) });
  await until(client.status, ({ connection }) => connection === "closed");
  expect(client.status.getSnapshot().problem).toMatchObject({ code: "protocol_too_old" });
  client.insert("album", { name: "kept" });
  expect(client.status.getSnapshot().pendingCount).toBe(1);
});

test("C6: 410 begins afresh at the head, and what is shown is asked for again", async () => {
  await using world = await createClientWorld();
  const disk = createMemoryDisk();
  const before = world.open({ persistence: openMemory(disk) });
  before.query("album.list", {}).subscribe(() => {});
  await until(before.query("album.list", {}), ({ status }) => status === "ready");
  await before.close();
  await world.write(album("meanwhile"));
  const client = world.open({
    persistence: openMemory(disk),
    fetch: first(world.direct, refusal(410, "cursor_expired")),
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(albums, ({ data }) => data.length === 1);
  await until(client.status, live);
});

test("C7: a stream cut in the middle of a frame is resumed from the last whole one", async () => {
  await using world = await createClientWorld();
  const cut = (real: Response) => {
    let index = 0;
    const body = real.body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          index += 1;
          controller.enqueue(index === 1 ? chunk : chunk.subarray(0, chunk.length - 5));
          if (index === 2) controller.terminate();
        },
      }),
    );
    return new Response(body ?? null, real);
  };
  const client = world.open({ fetch: first(world.direct, cut) });
  await until(client.status, live);
  const sequence = await world.write(album("cut"));
  await client.waitFor(sequence);
  expect(client.status.getSnapshot().cursor).toBe(sequence);
});

test("C8: a silent stream is dead, whatever the socket says", async () => {
  await using world = await createClientWorld({ limits: { heartbeatMs: 100 } });
  let opened = 0;
  const mute = (real: Response) => edit(real, (chunk, index) => (index === 0 ? chunk : null));
  const faulty = first(world.direct, mute);
  const client = world.open({
    silenceMs: 200,
    fetch: (url, init) => {
      if (url.includes("/events")) opened += 1;
      return faulty(url, init);
    },
  });
  await until(client.status, live);
  const sequence = await world.write(album("unheard"));
  await client.waitFor(sequence);
  expect(opened).toBe(2);
});

test("C9: a gap is filled from the log", async () => {
  await using world = await createClientWorld();
  const lose = (real: Response) => edit(real, (chunk, index) => (index === 1 ? null : chunk));
  const client = world.open({ fetch: first(world.direct, lose) });
  const events = eventsOf(client);
  await until(client.status, live);
  await world.write(album("lost"));
  await world.write(album("heard"));
  await client.waitFor(2);
  const heard = [await events.next(), await events.next()];
  expect(heard.map(({ value }) => value.envelope.sequence)).toEqual([1, 2]);
});

test("C9: a heartbeat that promises more than arrived is a gap as well", async () => {
  await using world = await createClientWorld();
  const lie = (real: Response) =>
    edit(real, (chunk, index) => (index === 1 ? pack({ heartbeat: { head: 1 } }) : chunk));
  const client = world.open({ fetch: first(world.direct, lie) });
  await until(client.status, live);
  await world.write(album("lost"));
  await client.waitFor(1);
  await until(client.status, live);
});

test("C10: frames that cannot be understood are said, and the stream goes on", async () => {
  await using world = await createClientWorld();
  const problems: string[] = [];
  const odd = (real: Response) =>
    edit(real, (chunk, index) => {
      if (index !== 0) return chunk;
      const strange = [pack({ news: 1 }), pack("text"), new Uint8Array([0xc7, 0x01, 0x55, 0x00])];
      return Buffer.concat([chunk, ...strange]);
    });
  const client = world.open({
    fetch: first(world.direct, odd),
    onProblem: ({ code }) => problems.push(code),
  });
  await until(client.status, live);
  await world.write(album("after"));
  await client.waitFor(1);
  expect(problems.length).toBeGreaterThanOrEqual(2);
  expect(new Set(problems)).toEqual(new Set(["unreadable"]));
});

test("C10: bytes that are no msgpack, twice at one position, begin afresh instead of again", async () => {
  await using world = await createClientWorld();
  await world.write(album("there"));
  const poison = (real: Response) =>
    edit(real, (chunk, index) => (index === 0 ? chunk : new Uint8Array([0xc1])));
  let opened = 0;
  const poisoned = first(world.direct, poison, poison);
  const client = world.open({
    fetch: (url, init) => {
      if (url.includes("/events")) opened += 1;
      return poisoned(url, init);
    },
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(albums, ({ status }) => status === "ready");
  await world.write(album("poison 1"));
  await until(client.status, ({ connection }) => connection === "offline");
  await until(albums, ({ data }) => data.length === 2);
  await until(client.status, live);
  expect(opened).toBeLessThanOrEqual(3);
});

test("C8: a browser that says it is offline is believed at once, though the stream still seems open", async () => {
  await using world = await createClientWorld();
  let isThere = true;
  const client = world.open({
    fetch: async (url, init) => {
      if (!isThere) throw new TypeError("Failed to fetch");
      return world.direct(url, init);
    },
  });
  await until(client.status, live);
  isThere = false;
  globalThis.dispatchEvent(new Event("offline"));
  expect(client.status.getSnapshot().connection).toBe("offline");
  const { done } = client.insert("album", { name: "waits" });
  isThere = true;
  globalThis.dispatchEvent(new Event("online"));
  expect((await done).sequence).toBe(1);
  await until(client.status, live);
});

test("C11: a service that ends and comes back is found again, and a client that missed it catches up", async () => {
  await using world = await createClientWorld();
  const client = world.open();
  await until(client.status, live);
  world.library.hub.goodbye("shutdown", 100);
  await until(client.status, ({ connection }) => connection === "offline");
  const sequence = await world.write(album("meanwhile"));
  await client.waitFor(sequence);
  await until(client.status, live);
});

test("C6: another history drops what the old one said", async () => {
  await using old = await createClientWorld();
  await using restored = await createClientWorld();
  await old.write(album("of the old history"));
  await restored.write(album("of the new one"));
  let world: typeof old = old;
  const client = old.open({
    token: () => world.token,
    fetch: (url, init) => {
      const path = url.replace(old.library.state.id, world.library.state.id);
      return world.direct(path, init);
    },
  });
  const albums = client.query("album.list", {});
  albums.subscribe(() => {});
  await until(albums, ({ data }) => data.length === 1);
  world = restored;
  old.library.hub.goodbye("shutdown", 0);
  const isNew = ({ data }: { data: readonly unknown[] }) =>
    data.length === 1 && (data[0] as { name: string }).name === "of the new one";
  await until(albums, isNew);
  await client.synced();
});

test("C4: a goodbye says how long to wait before the stream is opened again", async () => {
  await using world = await createClientWorld();
  const waits: number[] = [];
  const clock = {
    ...briskClock,
    sleep: (ms: number) => {
      waits.push(ms);
      return briskClock.sleep(ms > 10_000 ? 50 : ms);
    },
  };
  const hello = { head: 0, history_id: "", registry_hash: "", types: [] };
  const farewell = { goodbye: { reason: "shutdown", retry_ms: 12_345 } };
  const said = new Blob([pack({ hello }), pack(farewell)].map((bytes) => bytes.slice()));
  const headers = { "content-type": "application/vnd.syncline.events+msgpack" };
  const answer = new Response(said, { headers });
  const client = world.open({ clock, fetch: first(world.direct, answer) });
  await until(client.status, ({ connection }) => connection === "offline");
  await until(client.status, live);
  expect(waits).toContain(12_345);
});
