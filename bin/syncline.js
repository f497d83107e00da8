#!/usr/bin/env node
/**
 * The command line runs on Bun. Whoever starts it with Node, as `npx syncline` does, gets the Bun on the
 * path, or the one that is installed beside it.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const program = new URL("../src/tools/cli.ts", import.meta.url);

if (process.versions.bun === undefined) {
  const beside = [dirname(process.argv[1]), resolve("node_modules/.bin")];
  const child = spawn("bun", [fileURLToPath(program), ...process.argv.slice(2)], {
    env: { ...process.env, PATH: [process.env.PATH, ...beside].join(delimiter) },
    stdio: "inherit",
  });
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  // A terminal sends Ctrl-C to both: the child decides what becomes of it.
  process.on("SIGINT", () => {});
  child.on("error", (error) => {
    const advice = "the command line runs on Bun, which is not here: npm install bun";
    process.stderr.write(`error: ${error.code === "ENOENT" ? advice : error.message}\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
} else {
  await import(program.href);
}
