import { expect, test } from "bun:test";
import { createWorld } from "../support/world.ts";

test("reads answer gzip to whoever takes it, and say so to caches", async () => {
  await using world = await createWorld();
  for (let index = 0; index < 30; index += 1) await world.insertAlbum(`album ${index}`);
  const open = (path: string, encoding: string, body?: string) =>
    world.app.request(`${world.at}/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${world.token}`,
        "accept-encoding": encoding,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body }),
    });
  for (const [path, body] of [
    ["log"],
    ["resources/album"],
    ["snapshot"],
    ["query/album.list", '{"input":{}}'],
  ] as const) {
    const plain = await open(path, "identity", body);
    expect(plain.headers.get("content-encoding")).toBeNull();
    const text = await plain.text();
    expect((await open(path, "br, gzip;q=0", body)).headers.get("content-encoding")).toBeNull();
    const packed = await open(path, "deflate, gzip", body);
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect(packed.headers.get("vary")).toBe("accept, accept-encoding");
    const bytes = new Uint8Array(await packed.arrayBuffer());
    expect(bytes.length).toBeLessThan(text.length / 2);
    // A query's answer names the moment it ran.
    if (body === undefined) expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toBe(text);
  }
});

test("an event stream is never compressed, nor is a small answer", async () => {
  await using world = await createWorld();
  const headers = { authorization: `Bearer ${world.token}`, "accept-encoding": "gzip" };
  const stream = await world.app.request(`${world.at}/events`, { headers });
  expect(stream.headers.get("content-encoding")).toBeNull();
  await stream.body?.cancel();
  const small = await world.app.request(`${world.at}/checksum?types=tag`, { headers });
  expect(small.headers.get("content-encoding")).toBeNull();
  expect(await small.json()).toMatchObject({ sequence: 0 });
});
