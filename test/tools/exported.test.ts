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

test("an export that lost its end, or lines in the middle, is not taken for a whole one", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-exported-"));
  await using world = await createWorld();
  await using commands = serveCommands(world);
  for (const name of ["a", "b", "c"]) await world.insertAlbum(name);
  const whole = join(directory, "whole.ndjson");
  await commands.run("export", "--library", world.library.state.id, "--out", whole);
  const lines = (await Bun.file(whole).text()).trim().split("\n");
  expect(lines).toHaveLength(5);
  const importOf = async (damaged: readonly string[], ...words: readonly string[]) => {
    const { body: copy } = await world.send("POST", "/v1/libraries", { name: createId() });
    const path = join(directory, "damaged.ndjson");
    await writeFile(path, damaged.join("\n"));
    return commands.run("import", path, "--library", copy.id, ...words);
  };
  const cut = await importOf(lines.slice(0, 3));
  expect(cut.code).toBe(1);
  expect(cut.stdout).toContain("2 records written (album, insert), 0 failed");
  expect(cut.stderr).toContain("ends before its export did: it has 2 records of album");
  const lost = await importOf(lines.toSpliced(2, 1));
  expect([lost.code, lost.stderr.includes("should have 3 records of album, and has 2.")]).toEqual([
    1,
    true,
  ]);
  const damaged = await importOf(lines.with(2, lines[2]?.slice(0, 60) ?? ""), "--on-error", "skip");
  expect(damaged.code).toBe(1);
  expect(damaged.stdout).toContain("2 records written (album, insert), 1 failed");
  expect(damaged.stderr).toContain("record 1: The record is not valid: The line is not valid JSON");
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
  const tally = { foundCount: 7, toldCount: null };
  const read = (fields: ReadonlySet<string> | null) =>
    Array.fromAsync(readExported(lines(), { type: "note", fields, tally }));
  expect(await read(new Set(["text"]))).toEqual(['{"id":"1","text":"a \\"tag\\""}\n']);
  expect(await read(null)).toEqual(['{"id":"1","text":"a \\"tag\\"","length":7}\n']);
  expect(tally).toEqual({ foundCount: 1, toldCount: 1 } as unknown as typeof tally);
});
