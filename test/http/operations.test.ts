import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { systemClock } from "../../src/base/clock.ts";
import { trimLog } from "../../src/log/retention.ts";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { readConfig } from "../../src/runtime/config.ts";
import { createWorld } from "../support/world.ts";

test("metrics are Prometheus text: counters, gauges and cumulative buckets, escaped", () => {
  const { telemetry, metrics } = openTelemetry({
    level: "error",
    isPretty: false,
    write: () => {},
  });
  telemetry.count("commits", 2, { kind: 'a "b"\n' });
  telemetry.gauge("open_libraries", 3);
  telemetry.observe("commit_seconds", 0.002);
  telemetry.observe("commit_seconds", 70);
  const lines = metrics().split("\n");
  expect(lines).toContain('syncline_commits_total{kind="a \\"b\\"\\n"} 2');
  expect(lines).toContain("# TYPE syncline_commit_seconds histogram");
  expect(lines).toContain("syncline_open_libraries 3");
  expect(lines).toContain('syncline_commit_seconds_bucket{le="0.001"} 0');
  expect(lines).toContain('syncline_commit_seconds_bucket{le="50"} 1');
  expect(lines).toContain('syncline_commit_seconds_bucket{le="+Inf"} 2');
});

test("a wrong setting stops the start with a sentence that names it", () => {
  const wrong: [string, string][] = [
    ["PORT", "http"],
    ["DATABASE_URL", "mysql://x"],
    ["DURABILITY", "some"],
    ["DATABASE_URL", "file:./data/{databse}.db"],
    ["PORT", "70000"],
    ["LEASE_MS", "5"],
    // A timer of so many milliseconds would end at once.
    ["LEASE_MS", "99999999999"],
    ["NODE_URL", "localhost:8787"],
    ["SYNCLINE_JWKS_URL", "ftp://keys.example/jwks"],
    ["DATABASE_ADMIN_URL", "sqld:8081"],
  ];
  for (const [name, value] of wrong) {
    const sentence = `${name} is "${value}", but must be: `;
    expect(() => readConfig({ [name]: value })).toThrow(sentence);
    expect(() => readConfig({ [name]: value })).not.toThrow(/Invalid|Expected/);
  }
  const secret = { SYNCLINE_SECRET: "short" };
  expect(() => readConfig(secret)).toThrow("SYNCLINE_SECRET is too short, but must be: ");
  expect(readConfig({}).PORT).toBe(8787);
});

test("a service that can commit is ready; a library is listed, opened again after it was closed", async () => {
  await using world = await createWorld({ limits: { openLibraries: 1, libraryIdleMs: 0 } });
  expect((await world.send("GET", "/readyz")).status).toBe(200);
  await world.insertAlbum("a");
  const names = ["b", "c", "d"];
  for (const name of names) await world.send("POST", "/v1/libraries", { name });
  const first = await world.send("GET", "/v1/libraries?limit=2");
  expect(first.body.libraries.length).toBe(2);
  const rest = await world.send("GET", `/v1/libraries?limit=10&after=${first.body.next_cursor}`);
  expect(rest.body.libraries.length).toBe(2);
  expect(rest.body.next_cursor).toBeNull();
  const again = await world.send("POST", "/v1/libraries", {
    name: "twin",
    id: world.library.state.id,
  });
  expect([again.status, again.body.code]).toEqual([409, "already_exists"]);
});

test("file.delete takes along what is attached to the files: tags, places in albums, favourites", async () => {
  await using world = await createWorld();
  const [folder, inside, other, tag, album] = Array.from({ length: 5 }, () => createId());
  const place = createId();
  const insert = (resource_type: string, id: string | undefined, data: object) => ({
    resource_type,
    operation: "insert",
    id,
    data,
  });
  const file = (id: string | undefined, parent_id: string | null | undefined) =>
    insert("file", id, { location_id: place, parent_id, name: "f", size: 1 });
  const attach = (file_id: string | undefined) => [
    insert("file_tag", createId(), { file_id, tag_id: tag }),
    insert("album_item", createId(), { album_id: album, file_id, position: 1 }),
    insert("user_metadata", createId(), { file_id, favorite: true, hidden: false }),
  ];
  const changes = [
    insert("location", place, { device_id: "tester", name: "disk" }),
    insert("tag", tag, { name: "t" }),
    insert("album", album, { name: "a" }),
    file(folder, null),
    file(inside, folder),
    file(other, null),
    ...[folder, inside, other].flatMap(attach),
  ];
  expect((await world.send("POST", `${world.at}/batch`, { changes })).status).toBe(200);
  const action = { input: { ids: [folder] } };
  const { body } = await world.send("POST", `${world.at}/actions/file.delete`, action);
  expect(body.output).toEqual({ deleted: 2 });
  for (const table of ["files", "file_tags", "album_items", "user_metadata"]) {
    expect(await world.count(`SELECT count(*) FROM ${table}`)).toBe(1);
  }
  expect(await world.count("SELECT count(*) FROM tombstones")).toBe(8);
});

test("a list of many libraries opens none of them, and tells how far each was when it was closed", async () => {
  const opened: string[] = [];
  await using world = await createWorld({
    decorate: (name, database) => {
      opened.push(name);
      return database;
    },
  });
  await world.insertAlbum("a");
  const ids = [world.library.state.id];
  for (const name of Array.from({ length: 19 }, (_, index) => `${index}`)) {
    ids.push((await world.send("POST", "/v1/libraries", { name })).body.id);
  }
  for (const id of ids) await world.service.catalog.release(id);
  opened.length = 0;
  const listed = (await world.send("GET", "/v1/libraries?limit=1000")).body.libraries;
  expect(opened).toEqual([]);
  expect(listed.map(({ id }: { id: string }) => id)).toEqual(ids.toSorted());
  for (const one of listed) {
    const isFirst = one.id === world.library.state.id;
    expect(one).toMatchObject({ head: isFirst ? 1 : 0, epoch: 1, leader_device_id: "node" });
    expect(Object.keys(one).length).toBe(9);
  }
  const [, , last] = listed;
  expect((await world.send("GET", `/v1/libraries/${last.id}`)).body).toMatchObject({
    history_id: last.history_id,
    created_at: last.created_at,
  });
});

test("a list of a thousand libraries asks the databases as often as a list of one", async () => {
  const asked: string[] = [];
  await using world = await createWorld({
    decorate: (name, database) => ({
      ...database,
      read: (statements) => {
        asked.push(`reads ${name}`);
        return database.read(statements);
      },
      write: (statements) => {
        asked.push(`writes ${name}`);
        return database.write(statements);
      },
    }),
  });
  const { database } = world.service.catalog;
  const ask = async (limit: number) => {
    asked.length = 0;
    const { body } = await world.send("GET", `/v1/libraries?limit=${limit}`);
    // What timers ask meanwhile is a read of the catalog too.
    return { count: body.libraries.length as number, asked: new Set(asked), times: asked.length };
  };
  await world.service.catalog.release(world.library.state.id);
  const one = await ask(1_000);
  // As 999 libraries stand there that other nodes told of.
  const sql = `INSERT INTO libraries (id, name, description, state, created_at, summary)
    SELECT printf('00000000-0000-4000-8000-%012d', value), name, description, state, created_at,
      json_set(summary, '$.id', printf('00000000-0000-4000-8000-%012d', value))
    FROM libraries, generate_series(1, 999)`;
  await database.write([{ sql, args: [] }]);
  const all = await ask(1_000);
  expect([one.count, all.count]).toEqual([1, 1_000]);
  expect(all.asked).toEqual(new Set(["reads catalog"]));
  expect(all.times).toBeLessThan(one.times + 3);
  expect(world.service.catalog.openCount).toBe(0);
});

test("OBS-04: the log says who created, registered, committed and deleted what, and no secret", async () => {
  const lines: string[] = [];
  const { telemetry } = openTelemetry({
    level: "debug",
    isPretty: false,
    write: (line) => lines.push(line),
  });
  await using world = await createWorld({ telemetry });
  const { body: created } = await world.send("POST", "/v1/libraries", { name: "second" });
  const at = `/v1/libraries/${created.id}`;
  await world.send("POST", `${at}/devices`, { id: "phone", name: "phone" });
  const id = createId();
  const album = { resource_type: "album", operation: "insert", id, data: { name: "a" } };
  const { body: committed } = await world.send("POST", `${at}/commit`, album);
  await world.send("DELETE", `${at}/devices/phone`);
  await world.send("DELETE", at);
  const said = lines
    .map((line) => JSON.parse(line))
    .filter((one) => one.library_id === created.id && one.phase === undefined);
  expect(said.map(({ level, message }) => `${level} ${message}`)).toEqual([
    "debug This node leads the library.",
    "info A library was created.",
    "info A device was registered.",
    "debug Committed.",
    "info A device was revoked.",
    "debug This node gave the lease back.",
    "info A library was deleted.",
  ]);
  const { sequence, epoch, transaction_id } = committed;
  expect(said[3]).toMatchObject({ sequence, epoch, transaction_id, device_id: "tester" });
  expect(said[1]).toMatchObject({ by: "tester" });
  expect(lines.join("\n")).not.toContain(world.token);
});

test("LOG-12: entries are kept for as many days as are set, or for ever", async () => {
  expect(readConfig({}).RETENTION_DAYS).toBe(30);
  expect(readConfig({ RETENTION_DAYS: "7" }).RETENTION_DAYS).toBe(7);
  expect(readConfig({ RETENTION_DAYS: "forever" }).RETENTION_DAYS).toBe(Infinity);
  for (const wrong of ["0", "-1", "a week"]) {
    expect(() => readConfig({ RETENTION_DAYS: wrong })).toThrow("RETENTION_DAYS is");
  }
  await using world = await createWorld();
  await world.insertAlbum("a");
  const { database, state } = world.library;
  const now = (): number => systemClock.now();
  const trim = (retentionMs: number) =>
    trimLog(database, state, { beforeMs: now() - retentionMs, activeSinceMs: now() });
  expect(await trim(Number.MAX_SAFE_INTEGER)).toBe(0);
  expect(await trim(-1_000)).toBe(1);
});
