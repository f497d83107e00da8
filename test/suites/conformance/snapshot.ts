import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, problem, unpackr } from "./world.ts";
import type { Library, Topic } from "./world.ts";

interface Line {
  readonly snapshot?: { sequence: number; history_id: string; types: string[] };
  readonly resource_type?: string;
  readonly resource?: { id: string; version: number };
  readonly deleted?: string;
  readonly version?: number;
  readonly end?: { sequence: number; counts: Record<string, number> };
}

async function readLines(world: Library, query = "", accept = "application/x-ndjson") {
  const response = await world.fetch("GET", `/snapshot${query}`, { headers: { accept } });
  expect(response.status).toBe(200);
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(response.headers.get("content-type")).toBe(accept);
  if (accept.endsWith("msgpack")) return unpackr.unpackMultiple(bytes) as Line[];
  const text = new TextDecoder().decode(bytes);
  expect(text.endsWith("\n")).toBe(true);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

async function fill(world: Library): Promise<void> {
  if ((await world.head()) > 0) return;
  const location_id = createId();
  const file = createId();
  await world.insert("file", { location_id, name: "a", size: 1 }, { id: file });
  const album_id = createId();
  await world.album("album", album_id);
  await world.insert("album_item", { album_id, file_id: file, position: 1 });
  await world.insert("location", { device_id: "d", name: "l" }, { id: location_id });
  for (let n = 0; n < 5; n += 1) await world.insert("tag", { name: `t${n}` });
  const gone = (await world.album("gone")).body.resource.id;
  await world.commit({ resource_type: "album", operation: "delete", id: gone });
}

/** All records of a library, in the order that they can be applied in. */
export const snapshot: Topic = (library) => {
  test("a snapshot begins with its place, has records in dependency order and tombstones, and ends with counts", async () => {
    const world = await library();
    await fill(world);
    const lines = await readLines(world);
    const [first] = lines;
    expect(first?.snapshot).toMatchObject({
      sequence: await world.head(),
      history_id: world.created.body.history_id,
    });
    const order = lines.flatMap((line) => (line.resource === undefined ? [] : line.resource_type));
    expect(order.indexOf("location")).toBeLessThan(order.indexOf("file"));
    expect(order.indexOf("album_item")).toBeGreaterThan(order.indexOf("album"));
    expect(order.indexOf("album_item")).toBeGreaterThan(order.indexOf("file"));
    const tombstones = lines.filter((line) => line.deleted !== undefined);
    expect(tombstones).toHaveLength(1);
    expect(tombstones[0]).toMatchObject({ resource_type: "album", version: 2 });
    expect(lines.at(-1)?.end).toMatchObject({
      sequence: first?.snapshot?.sequence,
      counts: { tag: 5, album: 1, file: 1 },
    });
  });

  test("?types= narrows it; msgpack is the same list", async () => {
    const world = await library();
    await fill(world);
    const tags = await readLines(world, "?types=tag");
    expect(tags).toHaveLength(7);
    expect(tags[0]?.snapshot?.types).toEqual(["tag"]);
    for (const type of [MSGPACK, "application/vnd.syncline.records+msgpack"])
      expect(await readLines(world, "?types=tag", type)).toEqual(tags);
  });

  test("after_key goes on behind a record, so that a broken download can be resumed", async () => {
    const world = await library();
    await fill(world);
    const whole = (await readLines(world)).filter((line) => line.resource !== undefined);
    const middle = whole[4];
    const key = `${middle?.resource_type}:${middle?.resource?.id}`;
    const rest = (await readLines(world, `?after_key=${key}`)).filter(
      (line) => line.resource !== undefined,
    );
    expect(rest).toEqual(whole.slice(5));
    for (const bad of ["nothing:1", "nothing"]) {
      expect(await world.send("GET", `/snapshot?after_key=${bad}`)).toMatchObject(
        problem(400, "invalid_body"),
      );
    }
  });

  test("it is gzipped for whoever accepts that", async () => {
    const world = await library();
    await fill(world);
    const headers = { "accept-encoding": "gzip" };
    const response = await world.fetch("GET", "/snapshot", { headers });
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(await response.text()).toContain('"end"');
  });
};
