import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

async function send(world: World, query: string, body: string) {
  const response = await world.app.request(`${world.at}/bulk?resource_type=${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
    body,
  });
  // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
  return (await response.json()) as any;
}

const toLines = (records: readonly object[]): string =>
  records.map((record) => JSON.stringify(record)).join("\n");

test("a bulk leaves one small entry, goes on by its token, and counts what is stored", async () => {
  await using world = await createWorld({ limits: { bulkChunk: 100 } });
  const location_id = createId();
  const lines = Array.from({ length: 1_050 }, (_, index) =>
    JSON.stringify({ id: createId(), location_id, name: `f${index}`, size: index }),
  );
  const upload = (body: string, query = "") => send(world, `file&mode=insert${query}`, body);
  const token = createId();
  const body = [...lines.slice(0, 250), "{", ...lines.slice(250)].join("\n");
  const broken = await upload(body, `&token=${token}`);
  expect(broken).toMatchObject({ code: "invalid_record", index: 250 });
  // Cut off again before it wrote more, it has nothing to announce.
  expect(await upload(body, `&token=${token}`)).toMatchObject(broken as object);
  const state = await world.send("GET", `${world.at}/bulk/${token}`);
  expect(state.body).toMatchObject({ state: "interrupted", affected_count: 250, sequence: 1 });
  const done = await upload(lines.join("\n"), `&token=${token}`);
  expect(done).toMatchObject({
    affected_count: 1_050,
    failed_count: 0,
    sequence: 2,
    replayed: false,
  });
  expect(await upload(lines.join("\n"), `&token=${token}`)).toMatchObject({
    affected_count: 1_050,
    replayed: true,
  });
  expect(await world.count("SELECT count(*) FROM files")).toBe(1_050);
  expect(await world.count("SELECT max(version) FROM files")).toBe(1);
  expect(await world.count("SELECT length(data) FROM sync_log WHERE sequence = 2")).toBeLessThan(
    1_024,
  );
  const sums = await world.send("GET", `${world.at}/checksum?types=file`);
  expect(sums.body.checksums.file.count).toBe(1_050);
});

test("a bulk insert refuses each id in use, whoever used it, and overwrites nothing", async () => {
  await using world = await createWorld({ limits: { bulkChunk: 4 } });
  const [taken, twice] = [createId(), createId()];
  await world.insertAlbum("mine", taken);
  const albums = [createId(), taken, twice, twice, createId(), taken.toUpperCase()].map(
    (id, index) => ({ id, name: `bulk ${index}` }),
  );
  expect(await send(world, "album&mode=insert&on_error=skip", toLines(albums))).toMatchObject({
    affected_count: 3,
    failed_count: 3,
    failures: [1, 3, 5].map((index) => ({ index, problem: { code: "already_exists", index } })),
  });
  expect(
    await world.count("SELECT group_concat(name) FROM (SELECT name FROM albums ORDER BY name)"),
  ).toBe("bulk 0,bulk 2,bulk 4,mine" as never);
  const stopped = await send(
    world,
    "album&mode=insert",
    toLines([{ id: createId(), name: "a" }, ...albums]),
  );
  expect(stopped).toMatchObject({ code: "already_exists", index: 1 });
  expect(await world.count("SELECT count(*) FROM albums")).toBe(5);
});

test("a bulk insert of what was deleted goes on behind its last version", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("first", id);
  await world.send("POST", `${world.at}/commit`, {
    resource_type: "album",
    operation: "delete",
    id,
  });
  await send(
    world,
    "album&mode=insert",
    toLines([
      { id, name: "again" },
      { id: createId(), name: "new" },
    ]),
  );
  expect(await world.count(`SELECT version FROM albums WHERE id = '${id}'`)).toBe(3);
  expect(await world.count("SELECT count(*) FROM tombstones")).toBe(0);
});

test("a value that another record uses fails its own record of a bulk, not its neighbours", async () => {
  await using world = await createWorld();
  const fileId = createId();
  const records = Array.from({ length: 9 }, (_, index) => ({
    id: createId(),
    file_id: index % 4 === 3 ? fileId : createId(),
  }));
  const answer = await send(world, "user_metadata&mode=insert&on_error=skip", toLines(records));
  expect(answer).toMatchObject({ affected_count: 8, failed_count: 1, failures: [{ index: 7 }] });
  const sums = await world.send("GET", `${world.at}/checksum?types=user_metadata`);
  expect(sums.body.checksums.user_metadata.count).toBe(8);
});

test("BULK-04: a bulk is called what its hints call it, else by its mode; the entry stays small", async () => {
  await using world = await createWorld();
  const told = async (mode: string, hints: unknown) => {
    const query = `&hints=${encodeURIComponent(JSON.stringify(hints))}`;
    const line = toLines([{ id: createId(), name: "t" }]);
    const { sequence } = await send(world, `tag&mode=${mode}${query}`, line);
    const { entries } = (await world.send("GET", `${world.at}/log?after=${sequence - 1}`)).body;
    expect(JSON.stringify(entries[0].data).length).toBeLessThan(1_024);
    expect(entries[0].data.hints).toEqual(hints);
    return entries[0].data.operation;
  };
  const statistics = { total_size: 9_000, file_count: 3, directory_count: 1 };
  expect(await told("insert", { operation: "InitialIndex", statistics })).toBe("InitialIndex");
  expect(await told("upsert", { operation: "nightly_import" })).toBe("nightly_import");
  expect(await told("insert", {})).toBe("Import");
  expect(await told("upsert", {})).toBe("Maintenance");
  for (const operation of ["", "x".repeat(400), "<b>", null, 1, ["a"], { a: 1 }]) {
    expect(await told("insert", { operation })).toBe("Import");
  }
});

test("LOG-14: what a bulk deletes leaves no payload in the log", async () => {
  await using world = await createWorld();
  const [gone, kept] = [createId(), createId()];
  await world.insertAlbum("secret", gone);
  await world.insertAlbum("kept", kept);
  expect(await send(world, "album&mode=delete", toLines([{ id: gone }]))).toMatchObject({
    affected_count: 1,
  });
  const { entries } = (await world.send("GET", `${world.at}/log`)).body;
  expect(entries.map(({ data }: { data: { name?: string } | null }) => data?.name)).toEqual([
    undefined,
    "kept",
    undefined,
  ]);
});

test("a bulk whose first record is bad goes on where it ended, and counts nothing twice", async () => {
  await using world = await createWorld({ limits: { bulkChunk: 4 } });
  const good = Array.from({ length: 8 }, (_, index) => ({ id: createId(), name: `b${index}` }));
  for (const bad of [{ id: createId(), name: 7 }, { name: "no id" }, { id: 7, name: "x" }]) {
    const token = createId();
    const query = `album&mode=upsert&on_error=skip&token=${token}`;
    const lines = toLines([bad, ...good]);
    // What is no text ends the first try in its second chunk.
    const broken = new TextEncoder().encode(toLines([bad, ...good.slice(0, 5)]));
    await world.app.request(`${world.at}/bulk?resource_type=${query}`, {
      method: "POST",
      headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
      body: new ReadableStream({
        start: (controller) => {
          controller.enqueue(broken);
          controller.enqueue(new Uint8Array([10, 0xff]));
          controller.close();
        },
      }),
    });
    expect((await world.send("GET", `${world.at}/bulk/${token}`)).body.state).toBe("interrupted");
    expect(await send(world, query, lines)).toMatchObject({
      failed_count: 1,
      failures: [{ index: 0 }],
    });
  }
});

test("a bulk that changes nothing leaves no entry, so that nobody asks for what is as it was", async () => {
  await using world = await createWorld();
  const token = createId();
  const line = JSON.stringify({ id: createId(), name: "a" });
  const nothing = { affected_count: 0, sequence: null };
  expect(await send(world, "album", "\n")).toMatchObject(nothing);
  expect(await send(world, `album&token=${token}`, "{}")).toMatchObject({ status: 422 });
  const state = await world.send("GET", `${world.at}/bulk/${token}`);
  expect(state.body).toMatchObject({ ...nothing, state: "interrupted" });
  expect(await send(world, "album&mode=upsert", line)).toMatchObject({ sequence: 1 });
  expect(await send(world, "album&mode=upsert", line)).toMatchObject(nothing);
  const unknown = JSON.stringify({ id: createId() });
  const skipped = await send(world, "album&mode=delete&on_error=skip", unknown);
  expect(skipped).toMatchObject({ ...nothing, failed_count: 1 });
  expect(world.library.state.head).toBe(1);
  // What was begun goes on.
  const done = await send(
    world,
    `album&token=${token}`,
    JSON.stringify({ id: createId(), name: "b" }),
  );
  expect(done).toMatchObject({ affected_count: 1, sequence: 2 });
});
