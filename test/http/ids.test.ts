/** An id is any UUID, and the same one in capital letters, wherever a request may name it. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld, tokenFor } from "../support/world.ts";

/** Canonical text, but of no version that RFC 9562 knows. */
const plain = (digit: string) => "00000000-0000-0000-0000-00000000000x".replace("x", digit);

test("I5: a mutation id without a known version takes effect once too", async () => {
  await using world = await createWorld();
  const mutation_id = plain("1");
  const id = createId();
  const first = await world.insertAlbum("a", id, { mutation_id });
  const again = await world.insertAlbum("a", id, { mutation_id });
  expect([first.body.replayed, again.body.replayed]).toEqual([false, true]);
  expect(again.body.sequence).toBe(first.body.sequence);
  const fate = await world.send("GET", `${world.at}/mutations/${mutation_id}`);
  expect(fate.body).toMatchObject({ state: "committed", sequence: first.body.sequence });
});

test("a library and records may have such ids, and tokens and actions may name them", async () => {
  await using world = await createWorld();
  const id = plain("a");
  expect((await world.send("POST", "/v1/libraries", { name: "x", id })).status).toBe(201);
  const token = await tokenFor([{ library: id, role: "writer" }]);
  const authorization = `Bearer ${token}`;
  const send = (path: string, input: object) =>
    world.send("POST", `/v1/libraries/${id}/actions/${path}`, { input }, { authorization });
  const added = await send("album.add_files", { album_id: plain("2"), file_ids: [plain("3")] });
  expect([added.status, added.body.resources?.length]).toEqual([200, 1]);
  const tagged = await send("tag.apply", { tag_id: plain("4"), file_ids: [plain("3")] });
  expect([tagged.status, tagged.body.resources?.length]).toEqual([200, 1]);
});

test("ids in capital letters name the same records in fields, inputs and cursors", async () => {
  await using world = await createWorld();
  const [location, directory, file, tag] = [createId(), createId(), createId(), createId()];
  const capital = (id: string) => id.toUpperCase();
  const insert = (resource_type: string, id: string, data: object) => ({
    resource_type,
    operation: "insert",
    id: capital(id),
    data,
  });
  const inside = { location_id: capital(location), parent_id: capital(directory) };
  const changes = [
    insert("location", location, { device_id: "phone", name: "disk" }),
    insert("file", directory, { location_id: capital(location), name: "directory", size: 0 }),
    insert("file", file, { ...inside, name: "file", size: 1 }),
    insert("tag", tag, { name: "tag" }),
  ];
  expect((await world.send("POST", `${world.at}/batch`, { changes })).status).toBe(200);
  const ask = async (query: string, input: object) =>
    (await world.send("POST", `${world.at}/query/${query}`, { input })).body.data;
  expect(await ask("file.by_directory", { location_id: location, parent_id: directory })).toEqual([
    file,
  ]);
  expect(await ask("file.by_directory", inside)).toEqual([file]);
  await world.send("POST", `${world.at}/actions/tag.apply`, {
    input: { tag_id: capital(tag), file_ids: [capital(file)] },
  });
  expect(await ask("file.with_tag", { tag_id: tag })).toEqual([file]);
  expect(await ask("tag.links", { tag_id: capital(tag) })).toHaveLength(1);
  const listed = await world.send("GET", `${world.at}/resources/file?after=${capital(directory)}`);
  expect(listed.body.resources.map(({ id }: { id: string }) => id)).toEqual([file]);
});

test("a snapshot goes on behind an id in capital letters, and behind nothing that is no id", async () => {
  await using world = await createWorld();
  const ids = [createId(), createId(), createId()];
  for (const id of ids) await world.insertAlbum("a", id);
  const ask = (key: string) =>
    world.app.request(`${world.at}/snapshot?types=album&after_key=${key}`, {
      headers: { authorization: `Bearer ${world.token}` },
    });
  const text = await (await ask(`album:${ids[1]?.toUpperCase()}`)).text();
  expect(ids.map((id) => text.includes(id))).toEqual([false, false, true]);
  for (const key of ["album:nonsense", `tag:${ids[0]}`, "nonsense"]) {
    expect((await ask(key)).status).toBe(400);
  }
});

test("what has the length of an id is none yet", async () => {
  await using world = await createWorld();
  const uploaded = await world.app.request(`${world.at}/bulk?resource_type=tag`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
    body: JSON.stringify({ id: "-".repeat(36), name: "a" }),
  });
  expect(await uploaded.json()).toMatchObject({ code: "invalid_record", issues: [{ path: "id" }] });
});

test("the history of a library is the same one in capital letters", async () => {
  await using world = await createWorld();
  const { historyId } = world.library.state;
  const known = `history_id=${historyId.toUpperCase()}`;
  expect((await world.send("GET", `${world.at}/log?${known}`)).status).toBe(200);
  const other = await world.send("GET", `${world.at}/log?history_id=${createId()}`);
  expect([other.status, other.body.code]).toEqual([410, "history_changed"]);
});

test("a cursor that cannot be one is refused, instead of ending the list", async () => {
  await using world = await createWorld();
  await world.insertAlbum("a");
  for (const path of ["/v1/libraries", `${world.at}/resources/album`, `${world.at}/conflicts`]) {
    const { status, body } = await world.send("GET", `${path}?after=nonsense`);
    expect([status, body.code, body.issues?.[0]?.path]).toEqual([400, "invalid_body", "after"]);
  }
});
