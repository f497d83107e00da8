import { expect, test } from "bun:test";
import { readdir, readlink } from "node:fs/promises";
import { createId } from "../../src/base/id.ts";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { createWorld } from "../support/world.ts";

const LIBRARIES = 30;
const OPEN_MAX = 5;
const CALLERS = 8;
/** Two connections, each with its database, log and index. */
const FILES_OF_LIBRARY = 6;
/** Closed ones whose files the driver still holds. */
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
  expect(mostOpen).toBeLessThanOrEqual(OPEN_MAX + CALLERS);
  if (process.platform === "linux") {
    const most = (OPEN_MAX + CALLERS) * FILES_OF_LIBRARY + FILES_LEFT;
    expect(await countFiles(world.directory)).toBeLessThanOrEqual(most);
  }
  const { body } = await world.send("GET", "/v1/libraries?limit=1000");
  const heads = body.libraries.filter((one: { head: number }) => one.head === 2);
  expect(heads).toHaveLength(LIBRARIES);
}, 60_000);

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
