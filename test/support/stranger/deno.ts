import process from "node:process";
import { serve, stopOnSignal } from "syncline/deno";

const running = await serve({ mode: "production", env: process.env });
stopOnSignal(running);
process.stdout.write(`Syncline listens at ${running.url}\n`);
