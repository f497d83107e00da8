/** I9: what stands already and is large does not fill the memory of whoever changes a little of it. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

const COUNT = 300;

/** A library of large albums, of which a tenth fits into one transaction. */
async function createScene() {
  const world = await createWorld({ limits: { transactionBytes: COUNT * 1_000 } });
  const ids = Array.from({ length: COUNT }, () => createId());
  const lines = (records: readonly object[]) =>
    records.map((record) => JSON.stringify(record)).join("\n");
  const bulk = async (mode: string, records: readonly object[]) => {
    const response = await world.app.request(
      `${world.at}/bulk?resource_type=album&mode=${mode}&on_error=skip`,
      {
        method: "POST",
        headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
        body: lines(records),
      },
    );
    return (await response.json()) as Record<string, unknown>;
  };
  const description = "x".repeat(9_000);
  await bulk(
    "insert",
    ids.map((id) => ({ id, name: "a", description })),
  );
  const update = (id: string) => ({
    resource_type: "album",
    operation: "update",
    id,
    data: { name: "b" },
  });
  return { ...world, ids, bulk, update };
}

test("a batch that concerns more than one transaction may is refused whole, and says what to do", async () => {
  await using scene = await createScene();
  const send = (ids: readonly string[]) =>
    scene.send("POST", `${scene.at}/batch`, { changes: ids.map(scene.update) });
  const { status, body } = await send(scene.ids);
  expect([status, body.code]).toEqual([413, "body_too_large"]);
  expect(body.detail).toContain("send fewer at once");
  expect(await scene.count("SELECT count(*) FROM albums WHERE name = 'b'")).toBe(0);
  expect((await send(scene.ids.slice(0, 20))).status).toBe(200);
});

test("commits that came together and are too much together are committed in parts", async () => {
  await using scene = await createScene();
  const answers = await Promise.all(
    scene.ids.map((id) => scene.send("POST", `${scene.at}/commit`, scene.update(id))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(await scene.count("SELECT count(*) FROM albums WHERE name = 'b'")).toBe(COUNT);
});

test("so are the records of a bulk", async () => {
  await using scene = await createScene();
  const gone = scene.ids.map((id) => ({ id }));
  expect(await scene.bulk("delete", gone)).toMatchObject({
    affected_count: COUNT,
    failed_count: 0,
  });
  expect(await scene.count("SELECT count(*) FROM albums")).toBe(0);
});

test("a batch that may be written in parts is, where its chunks are too much", async () => {
  await using scene = await createScene();
  const { status, body } = await scene.send("POST", `${scene.at}/batch`, {
    changes: scene.ids.map(scene.update),
    atomic: false,
    mutation_id: createId(),
  });
  expect([status, body.failed]).toEqual([200, []]);
  expect(await scene.count("SELECT count(*) FROM albums WHERE name = 'b'")).toBe(COUNT);
});
