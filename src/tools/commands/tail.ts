import type { Command } from "commander";
import { chooseLibrary, connect, withLibrary, type ConnectionOptions } from "../connect.ts";
import { formatEvent, parseEvent } from "../event-line.ts";
import { followEvents } from "../events.ts";
import { writeLine, writeNotice } from "../output.ts";
import { parseCount, parseNames, parsePositive } from "./parse.ts";

interface TailOptions extends ConnectionOptions {
  readonly after?: number;
  readonly types?: string[];
  readonly count?: number;
  readonly json?: true;
}

/** Adds `tail`. */
export function addTail(program: Command): void {
  withLibrary(program.command("tail"))
    .description("follow the events of a library, and connect again when the stream breaks")
    .option(
      "--after <sequence>",
      "start after this sequence (default: only what comes)",
      parseCount,
    )
    .option("--types <names>", "only these resource types, as in album,tag", parseNames)
    .option("--count <n>", "stop after this many events", parsePositive)
    .option("--json", "print each event as one line of JSON")
    .action(tail);
}

async function tail(options: TailOptions): Promise<void> {
  const api = connect(options);
  const library = await chooseLibrary(api, options.library);
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  process.once("SIGTERM", onInterrupt);
  let count = 0;
  try {
    await followEvents(api, {
      library,
      ...(options.after === undefined ? {} : { after: options.after }),
      ...(options.types === undefined ? {} : { types: options.types.join(",") }),
      signal: stop.signal,
      onNotice: writeNotice,
      onEvent: (value) => {
        const event = parseEvent(value);
        if (event === null) return;
        writeLine(options.json === true ? JSON.stringify(value) : formatEvent(event));
        count += 1;
        if (count === options.count) stop.abort();
      },
    });
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onInterrupt);
  }
}
