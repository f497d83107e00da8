import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { chooseLibrary, connect, withLibrary, type ConnectionOptions } from "../connect.ts";
import { countOf } from "../count.ts";
import { writeNotice } from "../output.ts";
import { createProgress } from "../progress.ts";
import { readSnapshot } from "../snapshot.ts";
import { parseNames } from "./parse.ts";

interface ExportOptions extends ConnectionOptions {
  readonly types?: string[];
  readonly out?: string;
}

const chunkChars = 65_536;

/** Adds `export`. */
export function addExport(program: Command): void {
  withLibrary(program.command("export"))
    .description("write a snapshot of a library as NDJSON, to stdout or a file")
    .option("--types <names>", "only these resource types, as in album,tag", parseNames)
    .option("--out <file>", "write here; the file appears when it is complete")
    .action(exportLibrary);
}

async function exportLibrary({ types, out, ...options }: ExportOptions): Promise<void> {
  const api = connect(options);
  const library = await chooseLibrary(api, options.library);
  const lines = readSnapshot(api, {
    library,
    ...(types === undefined ? {} : { types: types.join(",") }),
    onNotice: writeNotice,
  });
  const progress = createProgress({ message: "Exporting" });
  try {
    const count = await writeOut(lines, out, (written) =>
      progress.advance(1, `Exporting: ${countOf(written, "line")}`),
    );
    // The first and the last line are about the snapshot, not in it.
    progress.done(
      `Exported ${countOf(count - 2, "record")} (deleted ones counted)${out === undefined ? "" : ` to ${out}`}.`,
    );
  } catch (error) {
    progress.fail("The export has stopped.");
    throw error;
  }
}

async function writeOut(
  lines: AsyncIterable<string>,
  out: string | undefined,
  onLine: (count: number) => void,
): Promise<number> {
  if (out === undefined) return await writeLines(lines, process.stdout, onLine);
  const partial = `${out}.part`;
  const file = createWriteStream(partial);
  // An error may come while nothing is waited for; `finished` reports it again.
  file.on("error", () => {});
  const count = await writeLines(lines, file, onLine);
  file.end();
  await finished(file);
  await rename(partial, out);
  return count;
}

/** Waits for the reader of `sink`, so that a slow pipe does not fill the memory. */
async function writeLines(
  lines: AsyncIterable<string>,
  sink: Writable,
  onLine: (count: number) => void,
): Promise<number> {
  let count = 0;
  let text = "";
  const flush = async (): Promise<void> => {
    if (sink.errored) throw sink.errored;
    if (!sink.write(text)) await once(sink, "drain");
    text = "";
  };
  for await (const line of lines) {
    text += `${line}\n`;
    count += 1;
    onLine(count);
    if (text.length >= chunkChars) await flush();
  }
  if (text !== "") await flush();
  return count;
}
