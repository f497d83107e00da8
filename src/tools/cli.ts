#!/usr/bin/env bun
/**
 * The command line: reads what is asked, does it, and tells a failure in one sentence.
 *
 *     0  done      1  failed      2  not understood
 */
import { CommanderError } from "commander";
import { reasonOf } from "../base/reason.ts";
import { ApiError, UsageError } from "./errors.ts";
import { writeNotice } from "./output.ts";
import { createProgram } from "./program.ts";

// Whoever reads the output may have seen enough, as in `syncline export | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = tell(error);
  // What a start that failed had begun must not keep the process, or nobody would start another.
  setTimeout(() => process.exit(), 1_000).unref();
}

/** Says what went wrong, and returns the exit code for it. */
function tell(error: unknown): number {
  // Commander has printed its own sentence; help and version count as errors to it.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  writeNotice(`error: ${reasonOf(error)}`);
  if (error instanceof ApiError && error.problem.status === 401) {
    writeNotice("Pass --token, set SYNCLINE_TOKEN, or run this where the service was started.");
  }
  return error instanceof UsageError ? 2 : 1;
}
