import type { Command } from "commander";
import { isId } from "../../base/id.ts";
import { createRegistry } from "../../resource/registry.ts";
import { openCatalogDatabase, openNamed } from "../database.ts";
import { UsageError } from "../errors.ts";
import { writeLine } from "../output.ts";
import { restoreLibrary } from "../restore.ts";

/** Adds `restore`: the last step of bringing a library back from a backup. */
export function addRestore(program: Command): void {
  program
    .command("restore <library>")
    .description("give a library whose database came back from a backup a new history")
    .action(async (name: string) => {
      const isUnderstood: boolean = isId(name);
      if (!isUnderstood) throw new UsageError(`${name} is not the id of a library.`);
      const { loadApplication } = await import("../../runtime/process.ts");
      const library = openNamed(name);
      const catalog = await openCatalogDatabase(createRegistry((await loadApplication()).plugins));
      try {
        const { id, historyId, head } = await restoreLibrary(library, catalog);
        writeLine(`Library ${id} is at ${head} in its new history ${historyId}.`);
      } finally {
        library.close();
        catalog.close();
      }
    });
}
