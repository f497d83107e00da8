import { createReadStream } from "node:fs";
import { Transform, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { parse } from "csv-parse";
import { v7 } from "uuid";
import { countOf } from "./count.ts";
import { CommandError, UsageError } from "./errors.ts";

/** How the records of a file are written. */
export type RecordFormat = "ndjson" | "csv";

/** What a column of a CSV file holds. `json` is for arrays and objects. */
export type ColumnType = "string" | "number" | "boolean" | "json";

/** A file of records and how to read it. */
export interface RecordSource {
  readonly path: string;
  readonly format: RecordFormat;
  /** Types of columns, for those whose header does not say. */
  readonly columnTypes: ReadonlyMap<string, ColumnType>;
  /** Gives an id to the record at an index which has none; null leaves it to the service to refuse. */
  readonly idAt: ((index: number) => string) | null;
  /**
   * Called with the index of a row that cannot be made a record, and why; the service gets `null` in its
   * place, which it refuses. Without it such a row ends the reading.
   */
  readonly onUnread?: (index: number, reason: string) => void;
  /** Called with the bytes of the file that were read since the last call. */
  readonly onBytes?: (count: number) => void;
}

const lineCharsMax = 16 * 1_048_576;

/** Tells the format by the name, `.gz` aside. @throws UsageError for another name */
export function formatOf(path: string): RecordFormat {
  const name = path.toLowerCase().replace(/\.gz$/, "");
  if (name.endsWith(".csv")) return "csv";
  if (/\.(ndjson|jsonl)$/.test(name)) return "ndjson";
  throw new UsageError(
    `The name of ${path} does not say what it holds; pass --format ndjson or --format csv.`,
  );
}

/** Reads `name:number,flag:boolean`. @throws UsageError */
export function parseColumnTypes(text: string): ReadonlyMap<string, ColumnType> {
  const types = new Map<string, ColumnType>();
  for (const part of text.split(",")) {
    const { name, type } = splitHeader(part.trim());
    if (type === null || name === "") {
      throw new UsageError(
        `"${part}" is not a column and its type; write for example size:number,favorite:boolean.`,
      );
    }
    types.set(name, type);
  }
  return types;
}

/**
 * Makes version 7 ids that depend on nothing but the moment of the call and the index, so that a second
 * reading of the same file gives every record the id it had.
 */
export function createIdSeries(nowMs: number): (index: number) => string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return (index) => v7({ msecs: nowMs, seq: index, random });
}

/** Yields each record as a line of JSON with its end. @throws CommandError naming file and line */
export async function* readRecords(source: RecordSource): AsyncGenerator<string> {
  const bytes = openBytes(source);
  try {
    if (source.format === "csv") yield* readCsv(source, bytes);
    else yield* readNdjson(source, bytes);
  } catch (error) {
    if (error instanceof CommandError || !(error instanceof Error)) throw error;
    throw new CommandError(`${source.path} cannot be read: ${error.message}`, { cause: error });
  } finally {
    bytes.destroy();
  }
}

function openBytes({ path, onBytes }: RecordSource): Readable {
  const file = createReadStream(path, { highWaterMark: 262_144 });
  const counter = new Transform({
    transform: (chunk: Uint8Array, _encoding, done) => {
      onBytes?.(chunk.length);
      done(null, chunk);
    },
  });
  const isGzip = path.toLowerCase().endsWith(".gz");
  const last = isGzip ? counter.pipe(createGunzip()) : counter;
  // `pipe` carries no errors, so each stage hands its own to the one that is read.
  file.on("error", (error) => last.destroy(error));
  counter.on("error", (error) => last.destroy(error));
  last.on("close", () => file.destroy());
  file.pipe(counter);
  return last;
}

async function* readNdjson(source: RecordSource, bytes: Readable): AsyncGenerator<string> {
  let index = 0;
  for await (const line of linesOf(bytes, source.path)) {
    if (line.trim() === "") continue;
    yield `${withId(line, source, index)}\n`;
    index += 1;
  }
}

/** A line that is no JSON object goes on as it is: the service refuses it, and says at which index. */
function withId(line: string, { idAt }: RecordSource, index: number): string {
  if (idAt === null) return line;
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) return line;
  if ("id" in record && record.id !== null && record.id !== "") return line;
  return JSON.stringify({ ...record, id: idAt(index) });
}

async function* linesOf(bytes: Readable, path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let lineNumber = 0;
  for await (const chunk of bytes as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    lineNumber += lines.length;
    if (rest.length > lineCharsMax) {
      throw new CommandError(`Line ${lineNumber + 1} of ${path} is longer than any record may be.`);
    }
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

async function* readCsv(source: RecordSource, bytes: Readable): AsyncGenerator<string> {
  const parser = parse({ bom: true, skip_empty_lines: true, relax_column_count: true });
  bytes.on("error", (error) => parser.destroy(error));
  const rows: AsyncIterable<string[]> = bytes.pipe(parser);
  let columns: readonly Column[] | null = null;
  let index = 0;
  for await (const row of rows) {
    if (columns === null) {
      columns = row.map((header) => toColumn(header, source));
      continue;
    }
    const record = readRow(row, columns, { source, index });
    if (record !== null && source.idAt !== null) record["id"] ??= source.idAt(index);
    yield `${JSON.stringify(record)}\n`;
    index += 1;
  }
}

function toColumn(header: string, { columnTypes, path }: RecordSource): Column {
  const { name, type } = splitHeader(header.trim());
  if (name === "") throw new CommandError(`A column of ${path} has no name in the first line.`);
  return { name, type: type ?? columnTypes.get(name) ?? "string" };
}

function splitHeader(header: string): { name: string; type: ColumnType | null } {
  const [, name, type] = /^(.*):(string|number|boolean|json)$/.exec(header) ?? [];
  if (name === undefined || !isColumnType(type)) return { name: header, type: null };
  return { name, type };
}

function isColumnType(text: string | undefined): text is ColumnType {
  return text === "string" || text === "number" || text === "boolean" || text === "json";
}

/** Null for a row that is no record, where the reading goes on. */
function readRow(
  row: readonly string[],
  columns: readonly Column[],
  { source, index }: { readonly source: RecordSource; readonly index: number },
): Record<string, unknown> | null {
  try {
    return toRecord(row, columns, `Row ${index + 1} of ${source.path}`);
  } catch (error) {
    if (source.onUnread === undefined || !(error instanceof CommandError)) throw error;
    source.onUnread(index, error.message);
    return null;
  }
}

function toRecord(
  row: readonly string[],
  columns: readonly Column[],
  place: string,
): Record<string, unknown> {
  if (row.length !== columns.length)
    throw new CommandError(
      `${place} has ${countOf(row.length, "value")} for ${countOf(columns.length, "column")}.`,
    );
  const record: Record<string, unknown> = {};
  for (const [at, { name, type }] of columns.entries()) {
    const text = row[at] ?? "";
    if (text === "") continue;
    const value = toValue(text, type);
    if (value === undefined) {
      throw new CommandError(`${place}: "${text}" in column ${name} is not a ${type}.`);
    }
    record[name] = value;
  }
  return record;
}

/** Undefined when the text is not of the type: a wrong value must not pass as another one. */
function toValue(text: string, type: ColumnType): unknown {
  if (type === "string") return text;
  if (type === "number") {
    const value = Number(text);
    return text.trim() !== "" && Number.isFinite(value) ? value : undefined;
  }
  if (type === "boolean") {
    const word = text.trim().toLowerCase();
    return word === "true" || word === "1"
      ? true
      : word === "false" || word === "0"
        ? false
        : undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
