/**
 * What the README promises of an application: one command makes it, one runs it, and its page is live and
 * goes on without the service.
 */
import { mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect } from "bun:test";
import type { Page } from "playwright-core";
import { createId } from "../../src/base/id.ts";
import { openBrowserTests } from "../support/chromium.ts";
import { startCli } from "../support/cli-process.ts";

const story = await openBrowserTests();
const bin = resolve("node_modules/.bin");

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await Bun.sleep(20);
}

/** `syncline new`, with the packages of this repository in place of `npm install`. */
async function makeApplication(): Promise<string> {
  const folder = resolve(`.cache/new-${createId()}`);
  const made = Bun.spawnSync([process.execPath, "src/tools/cli.ts", "new", folder]);
  expect(made.stderr.toString()).toBe("");
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  for (const name of await readdir("node_modules"))
    if (!name.startsWith(".")) await symlink(resolve("node_modules", name), join(modules, name));
  const packed = (await readdir(folder)).find((name) => name.endsWith(".tgz")) ?? "";
  Bun.spawnSync(["tar", "xzf", join(folder, packed), "-C", modules]);
  await rename(join(modules, "package"), join(modules, "syncline"));
  return folder;
}

async function write(page: Page, title: string): Promise<void> {
  await page.getByPlaceholder("What is to be done?").fill(title);
  await page.keyboard.press("Enter");
  await page.getByText(title, { exact: true }).waitFor();
}

story(
  "a new application is live in two windows, and keeps what one wrote cut off",
  async (browser) => {
    const folder = await makeApplication();
    const compiled = Bun.spawnSync([join(bin, "tsc"), "-p", folder], { cwd: folder });
    expect(compiled.stdout.toString()).toBe("");
    const words = ["dev", "--", "vite", "--strictPort", "--port", "45173"];
    // Vite colours what it says where CI is set, also into a pipe.
    const env = { PORT: "0", NO_COLOR: "1", PATH: `${bin}:${process.env["PATH"]}` };
    const service = await startCli(words, { env, folder });
    try {
      await until(() => service.said().includes("http://localhost:45173/"));
      for (const secret of ["data/node.json", ".env"])
        expect(await fetch(`http://localhost:45173/${secret}`)).toMatchObject({ status: 403 });
      const open = async () => {
        const page = await (await browser.newContext()).newPage();
        await page.goto("http://localhost:45173/");
        await page.getByText("live, 0 to send").waitFor();
        return page;
      };
      const [ada, bob] = [await open(), await open()];
      await write(ada, "milk");
      await bob.getByText("milk", { exact: true }).waitFor();
      await ada.getByLabel("offline").click();
      await write(ada, "bread");
      await ada.getByLabel("milk", { exact: true }).check();
      await ada.getByText("offline, 2 to send").waitFor();
      await ada.reload();
      await bob.getByText("bread", { exact: true }).waitFor();
      expect(await bob.getByLabel("milk", { exact: true }).isChecked()).toBe(true);
      await bob.getByLabel("Delete bread").click();
      await ada.getByText("bread", { exact: true }).waitFor({ state: "detached" });
      await mkdir(".cache/screenshots", { recursive: true });
      await bob.screenshot({ path: ".cache/screenshots/new.png" });
    } finally {
      service.kill("SIGTERM");
      expect(await service.exited).toBe(0);
      await rm(folder, { recursive: true });
    }
    await until(async () =>
      fetch("http://localhost:45173/").then(
        () => false,
        () => true,
      ),
    );
  },
);

/** Starts it in earnest: without a secret or a password but those that lie in its folder. */
const startApplication = (folder: string, port = "0") =>
  startCli(["start"], { env: { PORT: port, SYNCLINE_SECRET: "" }, folder });

story(
  "built and started, it lets in who has the password, opens offline, and sends what was written then",
  async (browser) => {
    const folder = await makeApplication();
    // As a person has it: for this process Vite would build without the service worker.
    const env = { ...process.env, NODE_ENV: "production" };
    const built = Bun.spawnSync([join(bin, "vite"), "build"], { cwd: folder, env });
    expect(built.exitCode).toBe(0);
    const [, password = ""] =
      /^APP_PASSWORD=(\S{16})$/m.exec(await Bun.file(join(folder, ".env")).text()) ?? [];
    const signIn = async (page: Page, word = password) => {
      await page.getByPlaceholder("Password").fill(word);
      await page.keyboard.press("Enter");
    };
    let service = await startApplication(folder);
    try {
      const open = async () => {
        const page = await (await browser.newContext()).newPage();
        await page.goto(service.url);
        return page;
      };
      const [ada, bob] = [await open(), await open()];
      await signIn(ada, "a guess of mine");
      await ada.getByText("That is not the password.").waitFor();
      await signIn(ada);
      await ada.getByText("live, 0 to send").waitFor();
      await write(ada, "milk");
      await ada.evaluate(async () => navigator.serviceWorker.ready);
      await signIn(bob);
      await bob.getByText("milk", { exact: true }).waitFor();

      service.kill("SIGTERM");
      expect(await service.exited).toBe(0);
      await ada.reload();
      await ada.getByText("milk", { exact: true }).waitFor();
      await write(ada, "bread");
      await ada.getByText("offline, 1 to send").waitFor();
      await ada.reload();
      await ada.getByText("bread", { exact: true }).waitFor();
      // Meanwhile the session ends.
      await ada.context().clearCookies();
      service = await startApplication(folder, new URL(service.url).port);
      await ada.getByText("needs-auth, 1 to send").waitFor();
      await signIn(ada);
      await ada.getByText("live, 0 to send").waitFor();
      await bob.getByText("bread", { exact: true }).waitFor();
    } finally {
      service.kill("SIGTERM");
      expect(await service.exited).toBe(0);
      await rm(folder, { recursive: true });
    }
  },
);
