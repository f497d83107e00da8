/** What a person must mend: a disk that is full, a file that cannot be opened. Nothing is lost by it. */
import { expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createId } from "../../src/base/id.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { createDatabaseClient } from "../../src/runtime/file-client.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Database } from "../../src/store/database.ts";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import type { World } from "../support/world.ts";
import { createWorld, dense } from "../support/world.ts";

/** SQLite says the same of a file that may have no more pages as of a disk that has none. */
const allowPages = async (database: Database, count: number): Promise<void> => {
  await database.write([{ sql: `PRAGMA max_page_count = ${count}`, args: [] }]);
};

async function fill(world: World): Promise<number> {
  for (let count = 0; ; count += 1) {
    const description = "x".repeat(9_000);
    const data = { name: "large", description };
    const change = { resource_type: "album", operation: "insert", id: createId(), data };
    const { status, body, headers } = await world.send("POST", `${world.at}/commit`, change);
    if (status === 200) continue;
    expect([status, body.code, body.retry]).toEqual([503, "database_unavailable", "later"]);
    expect(body.detail).toContain("full");
    expect(headers.get("retry-after")).not.toBeNull();
    return count;
  }
}

test("I4: a full disk is a 503 that says so; what was acknowledged stays, and with room it goes on", async () => {
  const logged: string[] = [];
  const telemetry = { ...silentTelemetry, log: (_: string, text: string) => logged.push(text) };
  await using world = await createWorld({ telemetry });
  await allowPages(world.library.database, 200);
  const count = await fill(world);
  expect(count).toBeGreaterThan(0);
  expect(await fill(world)).toBe(0);
  expect(await world.sequences()).toEqual(dense(count));
  expect(await world.count("SELECT count(*) FROM albums")).toBe(count);
  expect(logged.filter((text) => text.includes("full"))).toHaveLength(1);

  const bulk = await world.app.request(`${world.at}/bulk?resource_type=tag&mode=insert`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
    body: Array.from({ length: 500 }, () => JSON.stringify({ id: createId(), name: "t" })).join(
      "\n",
    ),
  });
  expect(bulk.status).toBe(503);

  await allowPages(world.library.database, 1_000_000);
  const { body } = await world.insertAlbum("after");
  expect(body.sequence).toBeGreaterThan(count);
  expect(await world.sequences()).toEqual(dense(body.sequence));
  expect(await world.count("SELECT count(*) FROM tags")).toBe(0);
});

test("a file that cannot be opened is asked for again, until it can; one that is damaged says so", async () => {
  const parent = await mkdtemp(join(tmpdir(), "syncline-trouble-"));
  const directory = join(parent, "later");
  try {
    const openAt = (name: string) =>
      openDatabase({
        url: `file:${join(directory, name)}`,
        durability: "normal",
        createClient: createDatabaseClient,
        clock: systemClock,
        limits: defaultLimits,
        telemetry: silentTelemetry,
      });
    const database = openAt("a.db");
    const create = () => database.write([{ sql: "CREATE TABLE t (x)", args: [] }]);
    await expect(create()).rejects.toThrow("cannot be opened");
    await mkdir(directory);
    await create();
    expect(await database.read([{ sql: "SELECT count(*) FROM t", args: [] }])).toEqual([[[0]]]);
    database.close();

    await Bun.write(join(directory, "b.db"), "not a database, whatever its name says ".repeat(500));
    await expect(openAt("b.db").read([{ sql: "SELECT 1", args: [] }])).rejects.toThrow("damaged");
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
});
