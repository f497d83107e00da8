import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { pagePlugin } from "../support/page-plugin.ts";
import { createWorld } from "../support/world.ts";

/** Two people edit one page; the second is late, so that their change waits. */
async function createDispute() {
  const world = await createWorld({ plugins: [pagePlugin] });
  const id = createId();
  const change = (operation: string, data: object, more: object = {}) =>
    world.send("POST", `${world.at}/commit`, {
      resource_type: "page",
      operation,
      id,
      data,
      ...more,
    });
  await change("insert", { title: "Iceland" });
  await change("update", { title: "Norway" });
  const late = await change("update", { body: "late" }, { expected_version: 1 });
  const conflictId = late.body.conflict_id as string;
  return {
    ...world,
    id,
    late,
    conflictId,
    list: async () => (await world.send("GET", `${world.at}/conflicts`)).body.conflicts,
    resolve: (resolution: object) =>
      world.send("POST", `${world.at}/conflicts/${conflictId}/resolve`, resolution),
  };
}

test("CONF-12: a late change of a manual resource waits, and says what it was", async () => {
  await using world = await createDispute();
  expect([world.late.status, world.late.body.code]).toEqual([409, "version_conflict"]);
  expect(await world.list()).toMatchObject([
    {
      id: world.conflictId,
      resource_type: "page",
      resource_id: world.id,
      expected_version: 1,
      current_version: 2,
      operation: "update",
      data: { body: "late" },
    },
  ]);
  expect(await world.sequences()).toEqual([1, 2]);
});

const decisions = [
  [{ choice: "local" }, [1, 2], { title: "Norway", body: null, version: 2 }],
  [{ choice: "discard" }, [1, 2], { title: "Norway", body: null, version: 2 }],
  [{ choice: "remote" }, [1, 2, 3], { title: "Norway", body: "late", version: 3 }],
  [
    { choice: "merged", data: { title: "Both", body: "late" } },
    [1, 2, 3],
    { title: "Both", body: "late", version: 3 },
  ],
] as const;

for (const [resolution, sequences, page] of decisions) {
  test(`CONF-12: "${resolution.choice}" is done and closed in one transaction, once`, async () => {
    await using world = await createDispute();
    expect((await world.resolve(resolution)).status).toBe(200);
    expect(await world.list()).toEqual([]);
    expect(await world.sequences()).toEqual([...sequences]);
    const read = await world.send("GET", `${world.at}/resources/page/${world.id}`);
    expect(read.body).toMatchObject(page);
    const again = await world.resolve(resolution);
    expect([again.status, again.body.code]).toEqual([404, "not_found"]);
  });
}

test("I10: a decision that cannot be done leaves the conflict waiting", async () => {
  await using world = await createDispute();
  const refused = [
    await world.resolve({ choice: "merged" }),
    await world.resolve({ choice: "merged", data: { title: "" } }),
    await world.resolve({ choice: "coin" }),
  ];
  expect(refused.map(({ status }) => status)).toEqual([400, 422, 400]);
  expect(await world.list()).toHaveLength(1);
});

test("I3: what another epoch leads, this node no longer resolves", async () => {
  await using world = await createDispute();
  const sql = "UPDATE library SET epoch = epoch + 1, leader_device_id = 'other'";
  await world.library.database.write([{ sql, args: [] }]);
  expect((await world.resolve({ choice: "discard" })).body.code).toBe("stale_epoch");
  expect(await world.list()).toHaveLength(1);
});

for (const atomic of [true, false]) {
  test(`CONF-12: what waits of ${atomic ? "an atomic batch" : "a batch in chunks"} is told by its place`, async () => {
    await using world = await createDispute();
    const other = createId();
    const target = { resource_type: "page", operation: "update", id: world.id };
    const changes = [
      { resource_type: "page", operation: "insert", id: other, data: { title: "new" } },
      { ...target, data: { body: "first" }, expected_version: 1 },
      { ...target, data: { body: "second" }, expected_version: 1 },
    ];
    const { status, body } = await world.send("POST", `${world.at}/batch`, { changes, atomic });
    const problems = atomic ? [body] : body.failed.map((one: { problem: object }) => one.problem);
    expect(status).toBe(atomic ? 409 : 200);
    expect(problems).toMatchObject(
      (atomic ? [1] : [1, 2]).map((index) => ({
        code: "version_conflict",
        index,
        current: { id: world.id, version: 2 },
      })),
    );
    const waiting = (await world.list()).map(({ id }: { id: string }) => id);
    const told = problems.map((one: { conflict_id: string }) => one.conflict_id);
    expect(waiting).toEqual([world.conflictId, ...told]);
    const read = await world.send("GET", `${world.at}/resources/page/${other}`);
    expect(read.status).toBe(atomic ? 404 : 200);
  });
}
