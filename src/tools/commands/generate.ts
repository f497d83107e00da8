import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import type { Registry } from "../../resource/registry.ts";
import { CommandError } from "../errors.ts";
import { writeLine } from "../output.ts";

/** Adds `generate`. */
export function addGenerate(program: Command): void {
  program
    .command("generate <dir>")
    .description("write types and validators for clients: TypeScript and Swift, from the registry")
    .option("--check", "write nothing; fail when a file is not what would be written")
    .action(async (dir: string, options: { readonly check?: true }) => {
      const { loadApplication } = await import("../../runtime/bun.ts");
      const { createRegistry } = await import("../../resource/registry.ts");
      const registry = createRegistry((await loadApplication()).plugins);
      await (options.check === true ? checkFiles(registry, dir) : writeFiles(registry, dir));
    });
}

/** The files by name. */
export async function generateFiles(registry: Registry): Promise<Readonly<Record<string, string>>> {
  const { describeRegistry } = await import("../codegen/model.ts");
  const { writeTypeScript } = await import("../codegen/typescript.ts");
  const { writeSwift } = await import("../codegen/swift.ts");
  const model = describeRegistry(registry);
  return { "syncline.gen.ts": writeTypeScript(model), "Syncline.gen.swift": writeSwift(model) };
}

async function writeFiles(registry: Registry, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const [name, text] of Object.entries(await generateFiles(registry))) {
    await writeFile(join(dir, name), text);
    writeLine(`Wrote ${join(dir, name)}`);
  }
}

/** @throws CommandError naming the files that differ */
export async function checkFiles(registry: Registry, dir: string): Promise<void> {
  const stale: string[] = [];
  for (const [name, text] of Object.entries(await generateFiles(registry))) {
    const path = join(dir, name);
    const found = await readFile(path, "utf8").catch(() => null);
    if (found !== text) stale.push(path);
  }
  if (stale.length === 0) return;
  const what =
    stale.length === 1 ? "is not what the registry says" : "are not what the registry says";
  throw new CommandError(`${stale.join(", ")} ${what}; run \`syncline generate ${dir}\`.`);
}
