import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { readExported } from "../../src/tools/exported.ts";
import { createWorld } from "../support/world.ts";
import { serveCommands } from "./command.ts";

test("what export wrote, import brings into another library: the same records, under the same ids", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-exported-"));
  await using world = await createWorld();
  await using commands = serveCommands(world);
  const [album, location, file] = [createId(), createId(), createId()];
  const insert = (resource_type: string, id: string, data: object) => {
    return { resource_type, operation: "insert", id, data };
  };
  const changes = [
    insert("album", album, { name: 'a "tag"', description: "two\nlines" }),
    insert("location", location, { device_id: "desk", name: "disk" }),
    insert("file", file, { location_id: location, name: "f", size: 2 ** 40 }),
    insert("album_item", createId(), { album_id: album, file_id: file, position: 0 }),
  ];
  expect((await world.send("POST", `${world.at}/batch`, { changes })).status).toBe(200);
  const { body: copy } = await world.send("POST", "/v1/libraries", { name: "copy" });
  const exportTo = async (library: string, name: string) => {
    const out = join(directory, name);
    const words = ["export", "--library", library, "--out", out];
    expect(await commands.run(...words)).toMatchObject({ code: 0 });
    return { out, records: (await Bun.file(out).text()).split("\n").slice(1, -2) };
  };
  const before = await exportTo(world.library.state.id, "before.ndjson");
  expect(before.records).toHaveLength(4);
  expect(await commands.run("import", before.out, "--library", copy.id)).toMatchObject({ code: 0 });
  const after = await exportTo(copy.id, "after.ndjson");
  expect(after.records).toEqual(before.records);

  // A second time nothing is overwritten, and nothing changes when that is what is asked for.
  const again = await commands.run("import", before.out, "--library", copy.id);
  expect([again.code, again.stderr.includes("already_exists")]).toEqual([1, true]);
  const gone = await commands.run("import", before.out, "--library", copy.id, "--mode", "delete");
  expect(gone.stdout).toContain("1 record written (album, delete)");
  const plain = join(directory, "plain.ndjson");
  await writeFile(plain, '{"name":"a"}\n');
  const untyped = await commands.run("import", plain, "--library", copy.id);
  expect([untyped.code, untyped.stderr.includes("pass --type NAME")]).toEqual([2, true]);
  await rm(directory, { recursive: true });
});

test("of an exported record only what the type takes is sent, and nothing of another type", async () => {
  async function* lines() {
    yield '{"snapshot":{"types":["note","tag"]}}';
    yield '{"resource_type":"note","resource":{"id":"1","version":3,"text":"a \\"tag\\"","length":7}}';
    yield '{"resource_type":"tag","resource":{"id":"2","version":1,"name":"note"}}';
    yield '{"resource_type":"note","deleted":"3","version":2}';
    yield '{"end":{"counts":{"note":1}}}';
  }
  const read = (fields: ReadonlySet<string> | null) =>
    Array.fromAsync(readExported(lines(), { type: "note", fields }));
  expect(await read(new Set(["text"]))).toEqual(['{"id":"1","text":"a \\"tag\\""}\n']);
  expect(await read(null)).toEqual(['{"id":"1","text":"a \\"tag\\"","length":7}\n']);
});
