import { expect, test } from "bun:test";
import { openConflicts } from "../../src/client/conflicts.ts";
import { createClientWorld, until } from "../support/client-world.ts";
import { pagePlugin } from "../support/page-plugin.ts";

/** Two people edit one page; the one who is late waits for a decision. */
async function createDispute() {
  const world = await createClientWorld({ plugins: [pagePlugin] });
  const write = (operation: string, data: object, more: object = {}) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type: "page",
      operation,
      id,
      data,
      ...more,
    });
  const id = crypto.randomUUID();
  await write("insert", { title: "Iceland" });
  await write("update", { title: "Norway" });
  return { ...world, id, late: () => write("update", { body: "late" }, { expected_version: 1 }) };
}

test("CONF-12: a conflict shows when it arises, and goes when it is resolved", async () => {
  await using world = await createDispute();
  const client = world.open();
  const { status } = client;
  const conflicts = openConflicts(client);
  conflicts.subscribe(() => {});
  await until(status, ({ connection }) => connection === "live");
  expect(conflicts.getSnapshot()).toEqual([]);
  await world.late();
  const [conflict] = await until(conflicts, ({ length }) => length === 1);
  expect(conflict).toMatchObject({
    resourceType: "page",
    resourceId: world.id,
    expectedVersion: 1,
    currentVersion: 2,
    data: { body: "late" },
  });
  const data = { title: "Norway", body: "both" };
  const resolved = await conflicts.resolve(conflict?.id ?? "", { choice: "merged", data });
  expect(resolved).toMatchObject({ ...data, version: 3 });
  expect(conflicts.getSnapshot()).toEqual([]);
  expect(await conflicts.list()).toEqual([]);
});

test("CONF-12: a decision that cannot be made says why", async () => {
  await using world = await createDispute();
  const conflicts = openConflicts(world.open());
  const failed = conflicts.resolve(crypto.randomUUID(), { choice: "local" });
  expect(await failed.catch((error: unknown) => error)).toMatchObject({
    problem: { code: "not_found" },
  });
});
