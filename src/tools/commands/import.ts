import { stat } from "node:fs/promises";
import { Option, type Command } from "commander";
import { reasonOf } from "../../base/reason.ts";
import { createId } from "../../base/id.ts";
import { systemClock } from "../../base/clock.ts";
import type { Api } from "../api.ts";
import { describeFailures, uploadBulk, type BulkAnswer } from "../bulk.ts";
import { chooseLibrary, connect, withLibrary, type ConnectionOptions } from "../connect.ts";
import { defaultLimits } from "../../protocol/limits.ts";
import { countOf } from "../count.ts";
import { CommandError } from "../errors.ts";
import { readExported, readExportedTypes, readFields } from "../exported.ts";
import type { Tally } from "../exported.ts";
import { writeLine, writeNotice } from "../output.ts";
import { createProgress } from "../progress.ts";
import {
  createIdSeries,
  formatOf,
  parseColumnTypes,
  readRecords,
  type ColumnType,
  type RecordFormat,
} from "../records.ts";

interface ImportOptions extends ConnectionOptions {
  readonly type?: string;
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
A record without an id gets one (a UUID of version 7); for --mode delete each needs its own.

A file of \`syncline export\` needs no --type: what it holds comes back type by type, under the same
ids, with versions that begin at 1. To go on after it stopped, run it again with --mode upsert.`;

/** Adds `import`. */
export function addImport(program: Command): void {
  withLibrary(program.command("import <file>"))
    .description("write the records of a file, .ndjson or .csv, perhaps .gz, as one bulk operation")
    .option("--type <name>", "the resource type of the records (default: as an export says)")
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

/** What to import, and where. */
interface Run {
  readonly api: Api;
  readonly library: string;
  readonly path: string;
  readonly options: ImportOptions;
  readonly format: RecordFormat;
  readonly totalBytes: number;
  /** What a type takes of an exported record; null where the file is no export. */
  readonly fieldsOf: Awaited<ReturnType<typeof readFields>> | null;
}

async function importFile(path: string, options: ImportOptions): Promise<void> {
  const format = options.format ?? formatOf(path);
  const totalBytes = await sizeOf(path);
  const { type } = options;
  const types = type === undefined ? await typesIn(path, format) : [type];
  const api = connect(options);
  const library = await chooseLibrary(api, options.library);
  const fieldsOf = type === undefined ? await readFields(api) : null;
  const run: Run = { api, library, path, options, format, totalBytes, fieldsOf };
  // What rests on others is deleted before them.
  for (const name of options.mode === "delete" ? types.toReversed() : types)
    await importType(run, name);
}

const anyColumn: ReadonlyMap<string, ColumnType> = new Map();

function typesIn(path: string, format: RecordFormat): Promise<readonly string[]> {
  const lines = readRecords({ path, format, columnTypes: anyColumn, idAt: null });
  return readExportedTypes(lines, path);
}

async function importType(run: Run, type: string): Promise<void> {
  const { api, library, path, options, format, totalBytes, fieldsOf } = run;
  const isExport = fieldsOf !== null;
  const idAt = isExport || options.mode === "delete" ? null : createIdSeries(systemClock.now());
  const message = isExport ? `Importing ${type}` : "Importing";
  const progress = createProgress({ message, total: totalBytes });
  const tally: Tally = { foundCount: 0, toldCount: null };
  const unread = new Map<number, string>();
  const onUnread = (index: number, reason: string): void => {
    // No answer lists more failures.
    if (unread.size < defaultLimits.bulkFailures) unread.set(index, reason);
  };
  let furthestBytes = 0;
  const lines = (): AsyncIterable<string> => {
    let readBytes = 0;
    const records = readRecords({
      path,
      format,
      columnTypes: options.typesFromHeader ?? anyColumn,
      idAt,
      ...(options.onError === undefined ? {} : { onUnread }),
      // A second attempt reads the same bytes again; the bar moves on only past the first one's end.
      onBytes: (count) => {
        readBytes += count;
        progress.advance(Math.max(0, readBytes - furthestBytes));
        furthestBytes = Math.max(furthestBytes, readBytes);
      },
    });
    return isExport ? readExported(records, { type, fields: fieldsOf(type), tally }) : records;
  };
  try {
    const answer = await uploadBulk(api, {
      library,
      query: { resource_type: type, mode: options.mode, on_error: options.onError },
      token: createId(),
      lines,
    });
    progress.done(isExport ? `The file has been read for ${type}.` : "The file has been read.");
    for (const line of describeFailures(answer, unread)) writeNotice(line);
    tell(answer, `${isExport ? `${type}, ` : ""}${options.mode}`);
    if (isExport) tellMissing(tally, { path, type });
  } catch (error) {
    progress.fail("The import has stopped.");
    throw error;
  }
}

function tell(answer: BulkAnswer, what: string): void {
  const { affected_count: affected, failed_count: failed, sequence } = answer;
  const entry = sequence === null ? "no log entry" : `log entry ${sequence}`;
  writeLine(`${countOf(affected, "record")} written (${what}), ${failed} failed; ${entry}`);
  if (failed > 0) process.exitCode = 1;
}

/** An export that lost lines on its way must not pass for a whole one. */
function tellMissing(
  { foundCount, toldCount }: Tally,
  { path, type }: { readonly path: string; readonly type: string },
): void {
  if (toldCount === foundCount) return;
  const found = countOf(foundCount, "record");
  writeNotice(
    toldCount === null
      ? `${path} ends before its export did: it has ${found} of ${type}, and there may have been more.`
      : `${path} should have ${countOf(toldCount, "record")} of ${type}, and has ${foundCount}.`,
  );
  process.exitCode = 1;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}
