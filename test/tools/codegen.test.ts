/**
 * Generated bindings: complete, standing alone, and true to what the service sends. The file under
 * test is the committed one, `examples/generated`.
 */
import { expect, test } from "bun:test";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import {
  decodeEvent,
  decodeResource,
  queries,
  registryHash,
  resourceTypeMap,
} from "../../examples/generated/syncline.gen.ts";
import { bundledPlugins } from "../../plugins/index.ts";
import { createId } from "../../src/base/id.ts";
import { createRegistry, definePlugin, defineResource, resourceTable } from "../../src/index.ts";
import { checkFiles, generateFiles } from "../../src/tools/commands/generate.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

const registry = createRegistry(bundledPlugins);

test("CODEGEN-04: every type that travels has an entry, and no other", () => {
  const types = registry.resources.map((resource) => resource.type);
  expect(Object.keys(resourceTypeMap).toSorted()).toEqual(types.toSorted());
  expect(Object.keys(queries)).toEqual([...registry.queries.keys()].toSorted());
  expect(registryHash).toBe(registry.hash);
});

test("CODEGEN-05: the check passes on what was committed, and names the file that was edited", async () => {
  await checkFiles(registry, "examples/generated");
  const dir = await mkdtemp(join(tmpdir(), "syncline-"));
  await cp("examples/generated", dir, { recursive: true });
  const edited = join(dir, "Syncline.gen.swift");
  await writeFile(edited, `${await readFile(edited, "utf8")}\n`);
  await expect(checkFiles(registry, dir)).rejects.toThrow(
    `${edited} is not what the registry says`,
  );
  await rm(dir, { recursive: true });
});

test("CODEGEN-01, 06, 09: real events decode without a case for any type; a bad record leaves the others", async () => {
  await using world = await createWorld();
  const ids = [createId(), createId(), createId()];
  const [album = "", location = "", file = ""] = ids;
  const at = { location_id: location, parent_id: null };
  await world.send("POST", `${world.at}/batch`, {
    changes: [
      { resource_type: "album", operation: "insert", id: album, data: { name: "Iceland" } },
      {
        resource_type: "location",
        operation: "insert",
        id: location,
        data: { device_id: "d", name: "Pictures" },
      },
      { resource_type: "file", operation: "insert", id: file, data: { ...at, name: "a", size: 3 } },
    ],
  });
  const favorite = { input: { id: file, favorite: true } };
  await world.send("POST", `${world.at}/actions/file.favorite`, favorite);
  const gone = { resource_type: "album", operation: "delete", id: album };
  await world.send("POST", `${world.at}/commit`, gone);
  const response = await world.app.request(`${world.at}/events?encoding=json&after=0`, {
    headers: { authorization: `Bearer ${world.token}`, accept: "text/event-stream" },
  });
  const wire = await readUntil(response, 5);
  const events = wire.map(decodeEvent);
  expect(events.flatMap((event) => event.problems)).toEqual([]);
  const changed = events.flatMap((event) => event.changed);
  const names = changed.map((one) => (one.type === "file" ? one.resource.name : one.type));
  expect(names.toSorted()).toEqual(["a", "location", "user_metadata"]);
  expect(events.flatMap((event) => event.deleted)).toEqual([{ type: "album", id: album }]);

  const batch = wire.find((event) => event.kind.data["resource_type"] === "file");
  const [good] = (batch?.kind.data["resources"] ?? []) as { id: string }[];
  const spoiled = {
    ...batch,
    kind: { ...batch?.kind, data: { ...batch?.kind.data, resources: [{ id: "x" }, good] } },
  };
  const { changed: kept, problems } = decodeEvent(spoiled);
  expect([kept.length, problems.map(({ type, id }) => [type, id])]).toEqual([1, [["file", "x"]]]);
  expect(() => decodeResource("nothing" as "file", {})).toThrow("Unknown resource type: nothing");
});

test("CODEGEN-10: a new resource changes the generated files, and nothing else has to change", async () => {
  const plugin = definePlugin({
    name: "note",
    resources: [
      defineResource({
        type: "note",
        table: resourceTable("notes", {
          title: text().notNull(),
          labels: text({ mode: "json" }),
          secretKey: text(),
        }),
        input: z.object({ title: z.string() }),
        sync: { domain: "metadata", exclude: ["secretKey"] },
      }),
      defineResource({
        type: "draft",
        table: resourceTable("drafts", { title: text() }),
        input: z.object({}),
        sync: { domain: "state" },
      }),
    ],
  });
  const files = await generateFiles(createRegistry([...bundledPlugins, plugin]));
  const typescript = files["syncline.gen.ts"] ?? "";
  expect(typescript).toContain("export const Note = v.looseObject({");
  expect(typescript).toContain("  labels: v.nullable(v.unknown()),");
  expect(typescript).toContain("  note: Note,");
  expect(files["Syncline.gen.swift"]).toContain("public var labels: JSONValue?");
  expect(Object.values(files).join("\n")).not.toMatch(/secret|draft/i);
});
