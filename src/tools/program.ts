import { Command } from "commander";
import { version } from "../../package.json";
import { addDoctor } from "./commands/doctor.ts";
import { addExport } from "./commands/export.ts";
import { addGenerate } from "./commands/generate.ts";
import { addFollow } from "./commands/follow.ts";
import { addImport } from "./commands/import.ts";
import { addIndex } from "./commands/index-tree.ts";
import { addLibrary } from "./commands/library.ts";
import { addNew } from "./commands/new.ts";
import { addRestore } from "./commands/restore.ts";
import { addRevoke } from "./commands/revoke.ts";
import { addServe } from "./commands/serve.ts";
import { addTail } from "./commands/tail.ts";
import { addToken } from "./commands/token.ts";

/**
 * All commands. Instead of ending the process, a wrong usage throws `CommanderError`: each command
 * must know that before its subcommands are made, because they inherit it.
 */
export function createProgram(): Command {
  const program = new Command("syncline")
    .description("A sync service that you own: run it, fill it, watch it.")
    .version(`syncline ${version}`)
    .showHelpAfterError("(--help tells more)")
    .exitOverride();
  addNew(program);
  addServe(program);
  addToken(program);
  addRevoke(program);
  addLibrary(program);
  addFollow(program);
  addTail(program);
  addIndex(program);
  addImport(program);
  addExport(program);
  addDoctor(program);
  addRestore(program);
  addGenerate(program);
  return program;
}
