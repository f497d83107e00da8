/**
 * The bundled rules against the service: what a client works out alone is what the service answers
 * (CACHE membership, OPT twins). Every query with a rule and every action with a twin is tried.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { clientRules } from "../../plugins/rules/index.ts";
import { planMove } from "../../plugins/rules/album.ts";
import { compareText } from "../../src/resource/rules.ts";
import type { Draft, QueryRule } from "../../src/resource/rules.ts";
import { renameKeys, toCamelCase, toSnakeCase } from "../../src/base/case.ts";
import { createId } from "../../src/base/id.ts";
import { bundledPlugins } from "../../plugins/index.ts";
import { createRegistry } from "../../src/resource/registry.ts";
import { createWorld, tokenFor } from "../support/world.ts";
import type { World } from "../support/world.ts";

interface Held {
  readonly id: string;
  readonly version: number;
  readonly [field: string]: unknown;
}

const ids = Array.from({ length: 12 }, createId).toSorted();
const id = (index: number): string => ids[index] ?? "";
const [location, folder, other] = [createId(), createId(), createId()];
const names = ["b.jpg", "a.jpg", "a.jpg", "Zoe.JPG", "é.jpg", "\u{1f600}.jpg", "\uffee.jpg", "a_b"];
let world: World;

async function commit(
  type: string,
  record: { id: string; [field: string]: unknown },
): Promise<void> {
  const { id, ...data } = renameKeys(record, toSnakeCase);
  const change = { resource_type: type, operation: "upsert", id, data };
  const { status, body } = await world.send("POST", `${world.at}/commit`, change);
  expect([status, body.code]).toEqual([200, undefined]);
}

/** All records of a type as a client would hold them. */
async function held(type: string): Promise<Held[]> {
  const { body } = await world.send("GET", `${world.at}/resources/${type}?limit=1000`);
  return (body.resources as Held[]).map((one) => renameKeys(one, toCamelCase) as unknown as Held);
}

async function ask(name: string, input: object): Promise<string[]> {
  const wire = renameKeys({ ...input }, toSnakeCase);
  const { status, body } = await world.send("POST", `${world.at}/query/${name}`, { input: wire });
  expect([name, status]).toEqual([name, 200]);
  return body.data;
}

beforeAll(async () => {
  world = await createWorld();
  await commit("location", { id: location, deviceId: "d", name: "Pictures" });
  const base = { locationId: location, size: 1 };
  await commit("file", { id: folder, ...base, name: "folder" });
  await commit("file", { id: other, ...base, name: "other", parentId: folder });
  for (const [index, name] of names.entries()) {
    await commit("file", { id: id(index), ...base, name, parentId: folder });
  }
  for (const [index, name] of ["Same", "Same", "same", "Alps", "\u{1f600}", "\uffee"].entries()) {
    await commit("album", { id: id(index), name });
  }
  for (const name of ["red", "Blue"]) await commit("tag", { id: createId(), name });
  for (const index of [2, 0, 1]) {
    const fileId = id(index);
    await commit("file_tag", { id: createId(), fileId, tagId: id(9) });
    await commit("file_tag", { id: createId(), fileId: id(0), tagId: id(index) });
    await commit("album_item", { id: createId(), albumId: id(0), fileId, position: 5 });
    await commit("user_metadata", { id: createId(), fileId, favorite: index > 0, hidden: false });
  }
});

afterAll(() => world[Symbol.asyncDispose]());

/** The answer a client makes of all records with the rule alone. */
function work(rule: QueryRule, records: readonly Held[], input: object): string[] {
  const found = records
    .filter((record) => rule.matches?.(record, input))
    .toSorted((a, b) => rule.compare?.(a, b, input) || compareText(a.id, b.id));
  return found.slice(0, rule.limit?.(input) ?? undefined).map((record) => record.id);
}

test("a client places records where the service would, pages and equal names included", async () => {
  const cases: [keyof typeof clientRules.queries, object][] = [
    ["album.list", {}],
    ["album.list", { sort: "-name", limit: 4 }],
    ["album.list", { after: "Same", limit: 2 }],
    ["album.list", { after: "Same", afterId: id(0) }],
    ["album.list", { sort: "-name", after: "Same", afterId: id(0) }],
    ["file.by_directory", { locationId: location }],
    ["file.by_directory", { locationId: location, parentId: null }],
    ["file.by_directory", { locationId: location, parentId: folder, limit: 3 }],
    ["file.by_directory", { locationId: location, parentId: folder, after: "a.jpg" }],
    [
      "file.by_directory",
      { locationId: location, parentId: folder, after: "a.jpg", afterId: id(1) },
    ],
    ["file.search", { text: ".jpg" }],
    ["file.search", { text: "A_B" }],
    ["file.search", { text: "%", limit: 5 }],
    ["tag.list", {}],
    ["tag.list", { limit: 1 }],
    ["tag.list", { after: "Blue" }],
    ["location.list", {}],
    ["location.list", { after: "Pictures" }],
    ["tag.links", {}],
    ["tag.links", { fileId: id(0) }],
    ["tag.links", { after: id(5), limit: 3 }],
    ["file.metadata", { fileId: id(1) }],
    ["file.metadata", { fileId: id(7) }],
    ["file.favorites", {}],
    ["file.favorites", { after: id(5), limit: 1 }],
    ["album.items", { albumId: id(0) }],
    ["album.items", { albumId: id(0), limit: 2 }],
    ["album.items", { albumId: id(0), after: 5, afterId: id(5) }],
  ];
  for (const [name, input] of cases) {
    const rule: QueryRule = clientRules.queries[name];
    const answer = await ask(name, input);
    expect([name, input, work(rule, await held(rule.returns ?? ""), input)]).toEqual([
      name,
      input,
      answer,
    ]);
  }
});

test("pages of equal names lose nobody: every album is on exactly one page", async () => {
  const seen: string[] = [];
  const all = await held("album");
  for (let cursor: object = {}; ;) {
    const page = await ask("album.list", { limit: 1, ...cursor });
    const last = all.find((album) => album.id === page[0]);
    if (last === undefined) break;
    seen.push(last.id);
    cursor = { after: last["name"], afterId: last.id };
  }
  expect(seen).toEqual(await ask("album.list", {}));
});

function createDraft(records: ReadonlyMap<string, Map<string, Held>>): Draft {
  const of = (type: string) => records.get(type) ?? new Map<string, Held>();
  return {
    get: (type, id) => of(type).get(id) ?? null,
    all: (type) => of(type).values(),
    insert: (type, record) => void of(type).set(record.id, { version: 0, ...record }),
    delete: (type, id) => void of(type).delete(id),
    update: (type, id, fields) => {
      const record = of(type).get(id);
      if (record !== undefined) of(type).set(id, { ...record, ...fields });
    },
  };
}

const kinds = ["file", "album", "album_item", "tag", "file_tag", "user_metadata"];

async function allHeld(): Promise<Map<string, Map<string, Held>>> {
  const entries = kinds.map(async (type) => {
    const records = await held(type);
    return [type, new Map(records.map((one) => [one.id, { ...one, version: 0 }]))] as const;
  });
  return new Map(await Promise.all(entries));
}

/** Versions are the service's to give; `null` and missing fields mean the same. */
function toComparable(records: ReadonlyMap<string, Map<string, Held>>) {
  return [...records].map(([type, held]) => [
    type,
    [...held.values()]
      .map(({ version: _version, ...record }) => ({ ...record }))
      .toSorted((a, b) => compareText(a.id, b.id)),
  ]);
}

test("every optimistic twin does to a client's records what its action does to the service's", async () => {
  const [tag] = await held("tag");
  const [tagId, albumId] = [tag?.id ?? "", id(0)];
  const { itemIdOf } = await import("../../plugins/rules/album.ts");
  const item = (index: number) => itemIdOf(albumId, id(index));
  const script: [keyof typeof clientRules.actions, object][] = [
    ["file.rename", { id: id(0), name: "new.tar.gz" }],
    ["file.rename", { id: id(1), name: ".hidden" }],
    ["file.move", { ids: [id(2), id(3)], parentId: null }],
    ["tag.apply", { tagId, fileIds: [id(0), id(1)] }],
    ["tag.apply", { tagId, fileIds: [id(1), id(4)] }],
    ["tag.remove", { tagId, fileIds: [id(1), id(5)] }],
    ["album.add_files", { albumId, fileIds: [id(0), id(1), id(4)] }],
    ["album.add_files", { albumId, fileIds: [id(1), id(5)] }],
    ["album.move_item", { id: item(5), afterId: item(0) }],
    ["album.move_item", { id: item(4) }],
    ["file.favorite", { id: id(1), favorite: false }],
    ["file.favorite", { id: id(4), favorite: true }],
    ["file.favorite", { id: id(4), favorite: false }],
    ["file.delete", { ids: [folder, id(2)] }],
    ["tag.delete", { id: tagId }],
    ["album.delete", { id: albumId }],
  ];
  expect(new Set(script.map(([name]) => name))).toEqual(
    new Set(Object.keys(clientRules.actions) as (keyof typeof clientRules.actions)[]),
  );
  for (const [name, input] of script) {
    const records = await allHeld();
    const twin: { optimistic: (draft: Draft, input: never) => void } = clientRules.actions[name];
    twin.optimistic(createDraft(records), input as never);
    const wire = { input: renameKeys({ ...input }, toSnakeCase) };
    const { status } = await world.send("POST", `${world.at}/actions/${name}`, wire);
    expect([name, status]).toEqual([name, 200]);
    expect([name, toComparable(records)]).toEqual([name, toComparable(await allHeld())]);
  }
});

test("an album's items bring their files along, and a reader of items alone gets no file", async () => {
  const albumId = createId();
  await commit("album", { id: albumId, name: "x" });
  const fileId = (await held("file"))[0]?.id ?? "";
  const input = { album_id: albumId, file_ids: [fileId] };
  await world.send("POST", `${world.at}/actions/album.add_files`, { input });
  const query = { input: { album_id: albumId } };
  const { body } = await world.send("POST", `${world.at}/query/album.items`, query);
  expect(body.included.file.map((one: Held) => one.id)).toEqual([fileId]);
  expect(body.included.album_item.length).toBe(1);
  const grant = { library: world.library.state.id, role: "reader", types: ["album_item"] } as const;
  const narrow = await world.app.request(`${world.at}/query/album.items`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${await tokenFor([grant])}`,
      "content-type": "application/json",
    },
    body: JSON.stringify(query),
  });
  expect(Object.keys(((await narrow.json()) as typeof body).included)).toEqual(["album_item"]);
});

test("a move changes one record while there is room, and all when there is none", () => {
  const items = (...positions: number[]) =>
    positions.map((position, index) => ({ id: `i${index}`, albumId: "a", position }));
  expect(planMove(items(10, 20, 30), "i2", "i0")).toEqual([{ id: "i2", position: 15 }]);
  expect(planMove(items(10, 20, 30), "i2", null)).toEqual([{ id: "i2", position: 10 - 1_024 }]);
  expect(planMove(items(10, 11, 30), "i2", "i0").map((one) => one.id)).toEqual(["i0", "i2", "i1"]);
  expect(planMove(items(10, 20), "i0", "missing")).toEqual([]);
  expect(planMove(items(10), "i0", null)).toEqual([]);
});

test("the rules know what an insert may leave out, as the registry says", () => {
  const absent = createRegistry(bundledPlugins).resources.flatMap(({ type, synced }) => {
    const nullable = synced.filter(({ notNull }) => !notNull).map(({ key }) => [key, null]);
    return nullable.length === 0 ? [] : [[type, Object.fromEntries(nullable)]];
  });
  expect(clientRules.absent).toEqual(Object.fromEntries(absent));
});
