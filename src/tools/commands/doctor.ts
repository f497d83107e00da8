import type { Command } from "commander";
import { createRegistry } from "../../resource/registry.ts";
import { countOf } from "../count.ts";
import { addressOf, findLibrary, readAtOnce } from "../database.ts";
import { examineLibrary } from "../doctor.ts";
import { CommandError } from "../errors.ts";
import { writeLine } from "../output.ts";

const FINDINGS_SHOWN = 50;

/** Adds `doctor`: it reads the database itself, so it works while the service runs and when it cannot. */
export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("replay a library's log, compare it with the live rows, print what differs")
    .option("--library <id>", "id or name of the library (default: the only one there is)")
    .action(async ({ library }: { library?: string }) => {
      const { loadApplication } = await import("../../runtime/process.ts");
      const registry = createRegistry((await loadApplication()).plugins);
      const { entryCount, recordCount, findings } = await readAtOnce(
        addressOf(await findLibrary(library)),
        (read) => examineLibrary(read, registry),
      );
      for (const finding of findings.slice(0, FINDINGS_SHOWN)) writeLine(finding);
      if (findings.length > FINDINGS_SHOWN)
        writeLine(`… and ${findings.length - FINDINGS_SHOWN} more.`);
      const examined = [countOf(entryCount, "entry", "entries"), countOf(recordCount, "record")];
      writeLine(`${examined.join(", ")}, ${countOf(findings.length, "difference")}.`);
      if (findings.length > 0) throw new CommandError("The library is not as its log says.");
    });
}
