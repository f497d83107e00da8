import type { Command } from "commander";
import { jsonBody, type Api } from "../api.ts";
import {
  connect,
  librarySchema,
  listLibraries,
  pickLibrary,
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
      const api = connect(options);
      writeLine((await findByName(api, name)) ?? (await create(api, name, options)));
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

/**
 * A script that creates its library, and is run again, means the same one: another of that name
 * would be empty, and `--library NAME` would mean neither.
 */
async function findByName(api: Api, name: string): Promise<string | null> {
  const libraries = await listLibraries(api);
  if (!libraries.some((library) => library.name === name)) return null;
  const id = pickLibrary(libraries, name);
  writeNotice(`A library is called ${name} already: nothing was created, this is its id.`);
  return id;
}

async function create(api: Api, name: string, { description }: CreateOptions): Promise<string> {
  const body = jsonBody({ name, ...(description === undefined ? {} : { description }) });
  return (await api.json("/v1/libraries", librarySchema, body)).id;
}
