import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
}

async function openWorld() {
  const world = await createWorld();
  const ask = (path: string, init: Init = {}) =>
    world.app.request(path, {
      ...init,
      headers: { authorization: `Bearer ${world.token}`, ...init.headers },
    });
  return { world, ask, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test("an answer is in the type that the caller likes best", async () => {
  await using opened = await openWorld();
  const typeFor = async (accept: string, path = opened.world.at) =>
    (await opened.ask(path, { headers: { accept } })).headers.get("content-type");
  for (const accept of ["*/*", "application/json", "application/msgpack;q=0", "image/png"]) {
    expect(await typeFor(accept)).toBe("application/json");
  }
  expect(await typeFor("application/json, application/msgpack;q=0.5")).toBe("application/json");
  for (const accept of [
    "application/msgpack",
    "Application/MsgPack",
    "application/json;q=0.1, application/msgpack",
    "application/msgpack, */*",
  ]) {
    expect(await typeFor(accept)).toBe("application/msgpack");
  }
  const snapshot = `${opened.world.at}/snapshot`;
  expect(await typeFor("application/msgpack;q=0", snapshot)).toBe("application/x-ndjson");
});

test("whoever keeps an answer knows that it depends on the type that was asked for", async () => {
  await using opened = await openWorld();
  const id = createId();
  await opened.world.insertAlbum("a", id);
  const path = `${opened.world.at}/resources/album/${id}`;
  const found = await opened.ask(path);
  const etag = found.headers.get("etag") ?? "";
  for (const known of [etag, `W/${etag}`, "*"]) {
    const again = await opened.ask(path, { headers: { "if-none-match": known } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    for (const { headers } of [found, again]) expect(headers.get("vary")).toContain("accept");
  }
});

test("the names of types and encodings have no case", async () => {
  await using opened = await openWorld();
  const { at } = opened.world;
  const change = { resource_type: "tag", operation: "insert", id: createId(), data: { name: "a" } };
  const committed = await opened.ask(`${at}/commit`, {
    method: "POST",
    headers: { "content-type": "Application/JSON; charset=utf-8", "content-encoding": "Identity" },
    body: JSON.stringify(change),
  });
  expect(committed.status).toBe(200);
  const record = JSON.stringify({ id: createId(), name: "b" });
  const uploaded = await opened.ask(`${at}/bulk?resource_type=tag`, {
    method: "POST",
    headers: { "content-type": "Application/X-NDJSON", "content-encoding": "GZIP" },
    body: Bun.gzipSync(record),
  });
  expect(await uploaded.json()).toMatchObject({ state: "complete", affected_count: 1 });
});

test("a pairing code needs no body, also where an empty one looks like one", async () => {
  await using opened = await openWorld();
  const code = await opened.ask("/v1/pairing/codes", { method: "POST", body: "" });
  expect([code.status, (await code.json()).expires_in]).toEqual([200, 300]);
  const missing = await opened.ask("/v1/libraries", { method: "POST", body: "" });
  expect(missing.status).toBe(400);
  expect((await missing.json()).detail).toContain("this one is empty");
});
