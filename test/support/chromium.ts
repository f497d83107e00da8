/**
 * The browser of the tests: Debian's Chromium, driven by playwright-core. Tests that need it call this
 * first, so that nobody has to prepare anything where packages may be installed.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { afterAll, test } from "bun:test";
import process from "node:process";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const executablePath = "/usr/bin/chromium";
const flags =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run " +
  "--disable-background-networking --disable-component-update --disable-sync";

async function install(): Promise<boolean> {
  console.error("Chromium is missing; installing it with apt-get.");
  const script =
    "apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core";
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const run = Bun.spawn(["sh", "-c", script], { stdout: "ignore", stderr: "inherit", env });
  return (await run.exited) === 0 && existsSync(executablePath);
}

/** Why there is no browser, or null when there is one. CI has no excuse: there the tests fail. */
async function missingBrowser(): Promise<string | null> {
  if (existsSync(executablePath)) return null;
  const mayInstall = process.getuid?.() === 0 && Bun.which("apt-get") !== null;
  if (mayInstall && (await install())) return null;
  const what = `${executablePath} is missing: apt-get install chromium`;
  if (process.env["CI"] !== undefined) throw new Error(what);
  return what;
}

/** One browser for the tests of a file. Without Chromium their titles say what to install. */
export async function openBrowserTests() {
  const missing = await missingBrowser();
  const launched =
    missing === null ? await chromium.launch({ executablePath, args: flags.split(" ") }) : null;
  afterAll(async () => launched?.close());
  return (title: string, run: (browser: Browser) => Promise<void>): void => {
    if (launched === null) test.skip(`${title} (skipped: ${missing})`, () => {});
    else test(title, () => run(launched), 120_000);
  };
}
