/** No list ends in silence: a full page says that more may come, and its last record leads on. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { isAfter } from "../../src/resource/rules.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

let world: World;
const [location, tag, album] = [createId(), createId(), createId()];
const fileIds = Array.from({ length: 7 }, createId).toSorted();

async function store(type: string, records: readonly object[], to = world): Promise<void> {
  const response = await to.app.request(`${to.at}/bulk?resource_type=${type}&mode=insert`, {
    method: "POST",
    headers: { authorization: `Bearer ${to.token}`, "content-type": "application/x-ndjson" },
    body: records.map((record) => JSON.stringify({ id: createId(), ...record })).join("\n"),
  });
  expect(response.status).toBe(200);
}

const ask = (name: string, input: object, of = world) =>
  of.send("POST", `${of.at}/query/${name}`, { input });

beforeAll(async () => {
  world = await createWorld();
  const names = ["one", "two", "two", "two", "\u{1f600}"];
  await store("location", [
    { id: location, device_id: location, name: "two" },
    ...names.map((name) => ({ device_id: location, name })),
  ]);
  await store("tag", [{ id: tag, name: "two" }, ...names.map((name) => ({ name }))]);
  await store("album", [{ id: album, name: "two" }, ...names.map((name) => ({ name }))]);
  await store(
    "file",
    fileIds.map((id, at) => ({ id, location_id: location, name: `${at % 3}`, size: 1 })),
  );
  await store(
    "user_metadata",
    fileIds.map((file_id) => ({ file_id, favorite: true })),
  );
  await store(
    "file_tag",
    fileIds.map((file_id) => ({ file_id, tag_id: tag })),
  );
  await store(
    "album_item",
    fileIds.map((file_id, at) => ({ album_id: album, file_id, position: at % 3 })),
  );
});

afterAll(() => world[Symbol.asyncDispose]());

const lists: readonly [name: string, input: object, count: number, cursor: readonly string[]][] = [
  ["tag.list", {}, 6, ["name", "id"]],
  ["tag.links", {}, 7, ["id"]],
  ["tag.links", { tag_id: tag }, 7, ["id"]],
  ["location.list", {}, 6, ["name", "id"]],
  ["album.list", { sort: "-name" }, 6, ["name", "id"]],
  ["album.items", { album_id: album }, 7, ["position", "id"]],
  ["file.favorites", {}, 7, ["id"]],
  ["file.with_tag", { tag_id: tag }, 7, ["name", "id"]],
  ["file.by_directory", { location_id: location }, 7, ["name", "id"]],
];

test.each(lists)(
  "%s %j: its pages are the whole, and only the last is not full",
  async (...list) => {
    const [name, input, count, cursor] = list;
    const whole = (await ask(name, input)).body;
    expect(whole.data).toHaveLength(count);
    expect(whole.meta.has_more).toBe(false);
    for (const limit of [2, 3]) {
      const found: string[] = [];
      let after = {};
      for (let hasMore = true; hasMore;) {
        const { body } = await ask(name, { ...input, limit, ...after });
        found.push(...body.data);
        hasMore = body.meta.has_more;
        expect(hasMore).toBe(body.data.length === limit);
        const records = Object.values(body.included).flat() as Record<string, unknown>[];
        const last = records.find(({ id }) => id === body.data.at(-1));
        if (last === undefined) continue;
        const [value, id] = cursor.map((field) => last[field]);
        after = { after: value, ...(id === undefined ? {} : { after_id: id }) };
      }
      expect(found).toEqual(whole.data);
    }
  },
);

test.each(lists.filter(([name]) => name !== "album.items"))(
  "%s %j: its pages go on after the id of the last record, in small or capital letters",
  async (...list) => {
    const [name, input] = list;
    const whole = (await ask(name, input)).body.data as string[];
    for (const at of whole.keys()) {
      for (const after of [whole[at], whole[at]?.toUpperCase()]) {
        const { body } = await ask(name, { ...input, limit: 2, after });
        expect(body.data).toEqual(whole.slice(at + 1, at + 3));
      }
    }
  },
);

test("a text that looks like an id and is none is a text; a client leaves an id's place to the service", async () => {
  const after = createId();
  const { body } = await ask("album.list", { after });
  expect(body.data.length).toBe(6);
  const record = { id: createId(), text: "a" };
  expect(() => isAfter(record, { after })).toThrow("Only the service");
  expect(isAfter(record, { after, afterId: after })).toBe(record.text > after);
});

test("who asks for no page gets the first thousand, and is told that there are more", async () => {
  await using full = await createWorld();
  const tagId = createId();
  const files = Array.from({ length: 1_001 }, () => createId());
  const base = { location_id: location, size: 1 };
  await store("tag", [{ id: tagId, name: "t" }, ...files.map((name) => ({ name }))], full);
  await store(
    "location",
    files.map((name) => ({ device_id: location, name })),
    full,
  );
  await store(
    "file",
    files.map((id) => ({ ...base, id, name: id })),
    full,
  );
  await store(
    "file_tag",
    files.map((file_id) => ({ file_id, tag_id: tagId })),
    full,
  );
  await store(
    "user_metadata",
    files.map((file_id) => ({ file_id, favorite: true })),
    full,
  );
  for (const [name, input, count] of [
    ["tag.list", {}, 1_002],
    ["location.list", {}, 1_001],
    ["file.favorites", {}, 1_001],
    ["file.with_tag", { tag_id: tagId }, 1_001],
  ] as const) {
    const { body } = await ask(name, input, full);
    expect([name, body.data.length, body.meta.has_more]).toEqual([name, 1_000, true]);
    const more = (await ask(name, { ...input, limit: 10_000 }, full)).body;
    expect([name, more.data.length, more.meta.has_more]).toEqual([name, count, false]);
  }
});

test("an answer of more bytes than one may have is refused, whether they are its own or come along", async () => {
  await using small = await createWorld({ limits: { answerBytes: 20_000 } });
  const description = "long ".repeat(1_500);
  await store(
    "album",
    ["a", "b", "c"].map((name) => ({ name, description })),
    small,
  );
  const refused = await ask("album.list", {}, small);
  expect(refused.status).toBe(413);
  expect(refused.body).toMatchObject({
    code: "body_too_large",
    retry: "never",
    limit_bytes: 20_000,
  });
  expect(refused.body.detail).toContain("ask for fewer");
  expect((await ask("album.list", { limit: 2 }, small)).body.data).toHaveLength(2);
  const [file, name] = [createId(), "n".repeat(250)];
  const many = Array.from({ length: 40 }, (_, at) => (at === 0 ? file : createId()));
  await store(
    "file",
    many.map((id) => ({ id, location_id: location, name, size: 1 })),
    small,
  );
  const item = (file_id: string, position: number) => ({ album_id: album, file_id, position });
  await store("album_item", many.map(item), small);
  expect((await ask("album.items", { album_id: album }, small)).status).toBe(413);
  expect((await ask("album.items", { album_id: album, limit: 20 }, small)).status).toBe(200);
});
