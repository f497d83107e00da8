import type { Command } from "commander";
import { createRegistry } from "../../resource/registry.ts";
import type { Registry } from "../../resource/registry.ts";
import { countOf } from "../count.ts";
import { addressOf, findLibrary, readAtOnce } from "../database.ts";
import { examineLibrary } from "../doctor.ts";
import type { Examination } from "../doctor.ts";
import { CommandError } from "../errors.ts";
import { writeLine } from "../output.ts";
import { createProgress } from "../progress.ts";

/** Adds `doctor`: it reads the database itself, so it works while the service runs and when it cannot. */
export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("replay a library's log, compare it with the live rows, print what differs")
    .option("--library <id>", "id or name of the library (default: the only one there is)")
    .action(async ({ library }: { library?: string }) => {
      const { loadApplication } = await import("../../runtime/process.ts");
      const registry = createRegistry((await loadApplication()).plugins);
      const address = addressOf(await findLibrary(library));
      const { entryCount, recordCount, differenceCount, findings } = await examine(
        address,
        registry,
      );
      for (const finding of findings) writeLine(finding);
      const examined = [countOf(entryCount, "entry", "entries"), countOf(recordCount, "record")];
      writeLine(`${examined.join(", ")}, ${countOf(differenceCount, "difference")}.`);
      if (differenceCount > 0) throw new CommandError("The library is not as its log says.");
    });
}

async function examine(address: string, registry: Registry): Promise<Examination> {
  const progress = createProgress({ message: "Examining" });
  let count = 0;
  const onProgress = (more: number): void => {
    count += more;
    progress.advance(
      more,
      `Examining: ${countOf(count, "entry or record", "entries and records")}`,
    );
  };
  try {
    const found = await readAtOnce(address, (read) =>
      examineLibrary(read, registry, { onProgress }),
    );
    progress.done("The library has been examined.");
    return found;
  } catch (error) {
    progress.fail("The examination has stopped.");
    throw error;
  }
}
