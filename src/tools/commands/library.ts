import type { Command } from "commander";
import {
  connect,
  findOrCreate,
  listLibraries,
  withConnection,
  type ConnectionOptions,
} from "../connect.ts";
import { writeLine, writeNotice } from "../output.ts";

interface CreateOptions extends ConnectionOptions {
  readonly description?: string;
}

/** Adds `library create`, `library list` and `library delete`. */
export function addLibrary(program: Command): void {
  const group = program.command("library").description("create, list and delete libraries");

  withConnection(group.command("create <name>"))
    .description("create a library, or find the one of that name, and print its id")
    .option("--description <text>", "what it is for")
    .action(async (name: string, options: CreateOptions) => {
      const { description } = options;
      const { id, isNew } = await findOrCreate(connect(options), { name, description });
      if (!isNew)
        writeNotice(`A library is called ${name} already: nothing was created, this is its id.`);
      writeLine(id);
    });

  withConnection(group.command("list"))
    .description("list the libraries: id, head and name")
    .action(async (options: ConnectionOptions) => {
      const libraries = await listLibraries(connect(options));
      for (const { id, head, name } of libraries) writeLine(`${id}  ${head}  ${name}`);
      if (libraries.length === 0) {
        writeNotice("There is no library yet; create one with `syncline library create NAME`.");
      }
    });

  withConnection(group.command("delete <id>"))
    .description("delete a library and all that is in it")
    .action(async (id: string, options: ConnectionOptions) => {
      const path = `/v1/libraries/${encodeURIComponent(id)}`;
      await connect(options).request(path, { method: "DELETE" });
      writeNotice(`Deleted library ${id}.`);
    });
}
