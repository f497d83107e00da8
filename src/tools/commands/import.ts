import { stat } from "node:fs/promises";
import { Option, type Command } from "commander";
import { createId } from "../../base/id.ts";
import { systemClock } from "../../base/clock.ts";
import { describeFailures, uploadBulk } from "../bulk.ts";
import { chooseLibrary, connect, withLibrary, type ConnectionOptions } from "../connect.ts";
import { countOf } from "../count.ts";
import { CommandError, explain } from "../errors.ts";
import { writeLine, writeNotice } from "../output.ts";
import { createProgress } from "../progress.ts";
import {
  createIdSeries,
  formatOf,
  parseColumnTypes,
  readRecords,
  type ColumnType,
  type RecordFormat,
  type RecordSource,
} from "../records.ts";

interface ImportOptions extends ConnectionOptions {
  readonly type: string;
  readonly mode: "insert" | "upsert" | "delete";
  readonly onError?: "skip";
  readonly format?: RecordFormat;
  readonly typesFromHeader?: ReadonlyMap<string, ColumnType>;
}

const help = `
NDJSON has one record a line. In CSV the first line names the fields, and an empty value means that
the record does not have the field. Values are text, unless the header says otherwise:

  id,name,size:number,hidden:boolean,custom:json

For a file whose header you cannot change, say the same with
  --types-from-header size:number,hidden:boolean
A record without an id gets one (a UUID of version 7); for --mode delete each needs its own.`;

/** Adds `import`. */
export function addImport(program: Command): void {
  withLibrary(program.command("import <file>"))
    .description("write the records of a file, .ndjson or .csv, perhaps .gz, as one bulk operation")
    .requiredOption("--type <name>", "the resource type of the records")
    .addOption(
      new Option("--mode <mode>", "what to do with each record")
        .choices(["insert", "upsert", "delete"])
        .default("insert"),
    )
    .addOption(new Option("--on-error <what>", "count bad records and go on").choices(["skip"]))
    .addOption(
      new Option("--format <format>", "what the file holds (default: by its name)").choices([
        "ndjson",
        "csv",
      ]),
    )
    .option("--types-from-header <list>", "types of CSV columns, see below", parseColumnTypes)
    .addHelpText("after", help)
    .action(importFile);
}

async function importFile(path: string, options: ImportOptions): Promise<void> {
  const format = options.format ?? formatOf(path);
  const totalBytes = await sizeOf(path);
  const api = connect(options);
  const library = await chooseLibrary(api, options.library);
  const progress = createProgress({ message: "Importing", total: totalBytes });
  let furthestBytes = 0;
  const openSource = (idAt: RecordSource["idAt"]): AsyncIterable<string> => {
    let readBytes = 0;
    return readRecords({
      path,
      format,
      columnTypes: options.typesFromHeader ?? new Map<string, ColumnType>(),
      idAt,
      // A second attempt reads the same bytes again; the bar moves on only past the first one's end.
      onBytes: (count) => {
        readBytes += count;
        progress.advance(Math.max(0, readBytes - furthestBytes));
        furthestBytes = Math.max(furthestBytes, readBytes);
      },
    });
  };
  const idAt = options.mode === "delete" ? null : createIdSeries(systemClock.now());
  try {
    const answer = await uploadBulk(api, {
      library,
      query: { resource_type: options.type, mode: options.mode, on_error: options.onError },
      token: createId(),
      lines: () => openSource(idAt),
    });
    progress.done("The file has been read.");
    for (const line of describeFailures(answer)) writeNotice(line);
    const { affected_count: affected, failed_count: failed, sequence } = answer;
    writeLine(
      `${countOf(affected, "record")} written (${options.mode}), ${failed} failed; log entry ${sequence ?? "-"}`,
    );
    if (failed > 0) process.exitCode = 1;
  } catch (error) {
    progress.fail("The import has stopped.");
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${explain(error)}`, { cause: error });
  }
}
