/** I10: an error says what was wrong, where, and what to do. */
import { expect, test } from "bun:test";
import { Packr } from "msgpackr";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";

test("what stands against a change is named with its versions and ids", async () => {
  await using world = await createWorld();
  const [id, mutation_id] = [createId(), createId()];
  await world.insertAlbum("a", id, { mutation_id });
  const late = { resource_type: "album", operation: "update", id, data: { name: "b" } };
  const conflict = await world.send("POST", `${world.at}/commit`, { ...late, expected_version: 9 });
  expect(conflict.body.detail).toStartWith(`album ${id} has version 1, and the change was made to`);
  const gone = { ...late, id: createId(), expected_version: 1 };
  const absent = await world.send("POST", `${world.at}/commit`, gone);
  expect(absent.body.detail).toStartWith(`album ${gone.id} is not there`);
  const reused = await world.send("POST", `${world.at}/commit`, { ...late, mutation_id });
  expect(reused.body.detail).toContain(`${mutation_id} was used for other content`);
});

test.each([
  ["commit", { expectedVersion: 3 }, "expectedVersion"],
  ["batch", { operation: "Update", atomc: false }, "atomc"],
  ["actions/file.move", { inputs: {} }, "inputs"],
  ["query/album.list", { inputs: {} }, "inputs"],
])("a misspelled member of %s is refused, not passed over", async (path, misspelled, name) => {
  await using world = await createWorld();
  const id = createId();
  const change = { resource_type: "album", operation: "insert", id, data: { name: "a" } };
  const body = { commit: change, batch: { changes: [change] } }[path] ?? { input: {} };
  const refused = await world.send("POST", `${world.at}/${path}`, { ...body, ...misspelled });
  expect([refused.status, refused.body.detail]).toEqual([400, `${name}: There is no such member.`]);
  const { body: found } = await world.send("GET", `${world.at}/resources/album/${id}`);
  expect(found.code).toBe("not_found");
});

test("a mutation id stands on the batch, not on one of its changes", async () => {
  await using world = await createWorld();
  const change = {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name: "a" },
  };
  const changes = [change, { ...change, id: createId(), mutation_id: createId() }];
  const refused = await world.send("POST", `${world.at}/batch`, { changes });
  expect([refused.status, refused.body.index]).toEqual([400, 1]);
  expect(refused.body.issues[0].path).toBe("changes.1.mutation_id");
});

test("a batch names the change that brings what another record has, or brings it twice", async () => {
  await using world = await createWorld();
  const about = (file_id: string) => ({
    resource_type: "user_metadata",
    operation: "insert",
    id: createId(),
    data: { file_id },
  });
  const send = (changes: readonly object[]) =>
    world.send("POST", `${world.at}/batch`, { changes, mutation_id: createId() });
  const [taken, free, other] = [createId(), createId(), createId()];
  const first = about(taken);
  expect((await send([first])).status).toBe(200);
  const tag = { ...about(""), resource_type: "tag", data: { name: "a" } };
  const gone = { resource_type: "user_metadata", operation: "delete", id: first.id };
  for (const [index, changes] of [
    [2, [tag, about(free), about(taken)]],
    [3, [about(other), tag, about(free), about(free)]],
    // Rows are deleted last, so that nothing ever points at what is gone.
    [1, [gone, about(taken)]],
  ] as const) {
    const { status, body } = await send(changes);
    expect([status, body.code, body.issues?.[0].path]).toEqual([422, "invalid_record", "file_id"]);
    expect(body.index).toBe(index);
  }
  expect((await send([gone])).status).toBe(200);
  expect((await send([about(taken)])).status).toBe(200);
});

test.each([
  ["bytes", new Uint8Array([1])],
  ["a set", new Set([1])],
])("msgpack may say more than can be kept: %s are refused, not changed", async (_, value) => {
  await using world = await createWorld();
  const packr = new Packr({ useRecords: false, moreTypes: true });
  const data = { file_id: createId(), custom: { inner: [value] } };
  const change = { resource_type: "user_metadata", operation: "insert", id: createId(), data };
  const answered = await world.app.request(`${world.at}/commit`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${world.token}`,
      "content-type": "application/msgpack",
    },
    body: new Uint8Array(packr.pack(change)),
  });
  expect(answered.status).toBe(422);
  expect(await answered.json()).toMatchObject({
    code: "invalid_record",
    issues: [{ path: "custom.inner.0" }],
  });
});

test("a field is named as the wire names it, in the message too", async () => {
  await using world = await createWorld();
  const asked = await world.send("POST", `${world.at}/query/file.by_directory`, { input: {} });
  expect(asked.body.issues[0].path).toBe("location_id");
  expect(asked.body.detail).not.toContain("locationId");
});

test.each(["album", "tag"])(
  "a field of %s that is not there is named, whoever validates",
  async (type) => {
    await using world = await createWorld();
    const data = { name: "a", created_at: 1, colour: "red" };
    const change = { resource_type: type, operation: "insert", id: createId(), data };
    const refused = await world.send("POST", `${world.at}/commit`, change);
    expect(refused.status).toBe(422);
    const message = "There is no such field.";
    expect(refused.body.issues).toEqual(expect.arrayContaining([{ path: "created_at", message }]));
    expect(refused.body.detail).toContain("created_at: There is no such field.");
  },
);

test("a place that is empty is not put before the message", async () => {
  await using world = await createWorld();
  const batch = { atomic: false, changes: [5] };
  const answered = await world.send("POST", `${world.at}/batch`, batch);
  expect(answered.body.failed[0].problem.detail).toStartWith("Invalid type");
});

test("who asks for what is not here learns what was looked for, and who is behind what to do", async () => {
  await using world = await createWorld();
  const id = createId();
  const detailOf = async (path: string, headers: Record<string, string> = {}) =>
    (await world.send("GET", path, undefined, headers)).body.detail as string;
  expect(await detailOf(`/v1/jobs/${id}`)).toContain(id);
  expect(await detailOf(`${world.at}/bulk/${id}`)).toContain(id);
  expect(await detailOf(`${world.at}/log?after=7`)).toContain("take a snapshot");
  const stream = await detailOf(`${world.at}/events`, { "last-event-id": "x" });
  expect(stream).toStartWith("Last-Event-ID:");
});

test("a bulk that cannot go on says what its token, or its line, is too much for", async () => {
  await using world = await createWorld({ limits: { recordBytes: 100 } });
  const token = createId();
  const upload = async (type: string, body: string) => {
    const path = `${world.at}/bulk?resource_type=${type}&token=${token}`;
    const headers = {
      authorization: `Bearer ${world.token}`,
      "content-type": "application/x-ndjson",
    };
    return (await world.app.request(path, { method: "POST", headers, body })).json();
  };
  await upload("tag", JSON.stringify({ id: createId(), name: "a" }));
  expect(await upload("album", "")).toMatchObject({
    code: "mutation_reused",
    detail: expect.stringContaining(`${token} belongs to a bulk insert of tag`),
  });
});

test.each(["a\u0000b", "\ud800"])(
  "a name that could not be kept as it is, is refused: %j",
  async (name) => {
    await using world = await createWorld();
    for (const [path, body] of [
      ["/v1/libraries", { name }],
      ["/v1/libraries", { name: "a", description: name }],
      [`${world.at}/devices`, { id: "phone", name }],
    ] as const) {
      const { status, body: problem } = await world.send("POST", path, body);
      expect([status, problem.code]).toEqual([400, "invalid_body"]);
    }
  },
);

test("the route of one type takes no change of another", async () => {
  await using world = await createWorld();
  const path = `${world.at}/resources/album`;
  const change = { operation: "insert", id: createId(), data: { name: "a" } };
  const other = { ...change, resource_type: "tag" };
  const refused = [
    await world.send("POST", `${path}/commit`, other),
    await world.send("POST", `${path}/batch`, { changes: [change, other] }),
    await world.send("POST", `${path}/bulk?resource_type=tag`),
  ];
  expect(refused.map(({ status }) => status)).toEqual([400, 400, 400]);
  const same = await world.send("POST", `${path}/commit`, { ...change, resource_type: "album" });
  expect(same.status).toBe(200);
});

test("a device that names itself by nothing is the token's; hints are a map", async () => {
  await using world = await createWorld();
  await world.send(
    "POST",
    `${world.at}/commit`,
    { resource_type: "tag", operation: "insert", id: createId(), data: { name: "a" } },
    { "x-device-id": "" },
  );
  const { entries } = (await world.send("GET", `${world.at}/log`)).body;
  expect(entries[0].device_id).not.toBe("");
  const hints = await world.send("POST", `${world.at}/bulk?resource_type=tag&hints=[1]`);
  expect([hints.status, hints.body.issues[0].path]).toEqual([400, "hints"]);
});

test.each([
  ["batch", "changes"],
  ["mutations", "mutations"],
])(
  "I9: %s with more than it may have is refused before anything looks at what is in it",
  async (path, list) => {
    await using world = await createWorld();
    const { status, body } = await world.send("POST", `${world.at}/${path}`, {
      [list]: Array.from({ length: 50_000 }, () => 0),
    });
    expect([status, body.code, body.issues.length]).toEqual([400, "invalid_body", 1]);
    expect(body.detail).toBe(`${list}: At most 1000 at once, not 50000.`);
  },
);

test("I9: of many things that are wrong the first hundred are told, each in short", async () => {
  await using world = await createWorld();
  const changes = Array.from({ length: 1_000 }, () => ({}));
  const batch = await world.send("POST", `${world.at}/batch`, { changes });
  expect([batch.status, batch.body.issues.length]).toEqual([400, 100]);
  const data = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`k${at}`, at]));
  const change = { resource_type: "tag", operation: "insert", id: createId(), data };
  const commit = await world.send("POST", `${world.at}/commit`, change);
  expect([commit.status, commit.body.issues.length <= 100]).toEqual([422, true]);
});
