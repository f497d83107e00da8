/**
 * The demonstration as people meet it: the link that `dev` prints, two windows of two devices side by
 * side, one of them cut off for a while.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { chromium } from "playwright-core";
import type { Page } from "playwright-core";

const executablePath = "/usr/bin/chromium";
const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];

async function startDev() {
  const directory = await mkdtemp(join(tmpdir(), "syncline-demo-"));
  const child = Bun.spawn([process.execPath, "src/tools/cli.ts", "dev"], {
    env: {
      ...process.env,
      PORT: "0",
      DATABASE_URL: `file:${directory}/{database}.db`,
      LOG_LEVEL: "error",
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  const stop = async () => {
    child.kill();
    await child.exited;
    await rm(directory, { recursive: true, force: true });
  };
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of child.stdout as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part);
    const link = /demonstration: (\S+)\s/.exec(text)?.[1];
    if (link !== undefined) return { link, [Symbol.asyncDispose]: stop };
  }
  await stop();
  throw new Error(`The service did not start: ${text}`);
}

async function openFolder(page: Page, name: string): Promise<void> {
  await page.getByTestId("location-link").first().click();
  await page.getByTestId("file-row").filter({ hasText: name }).dblclick();
  await page.getByTestId("page-title").filter({ hasText: name }).waitFor();
}

async function rename(page: Page, index: number, name: string): Promise<string> {
  const row = page.getByTestId("file-row").nth(index);
  const id = (await row.getAttribute("data-id")) ?? "";
  await row.click();
  await page.getByTestId("file-name").click();
  await page.getByTestId("file-name-input").fill(name);
  await page.keyboard.press("Enter");
  return id;
}

const rowOf = (page: Page, id: string, name: string) =>
  page.locator(`[data-testid=file-row][data-id="${id}"]`).filter({ hasText: name });

const setOffline = (page: Page) =>
  page
    .locator("label", { has: page.getByTestId("offline-switch") })
    .first()
    .click();

test.skipIf(!existsSync(executablePath))(
  "two windows agree at once, and again after one was offline (needs Debian's Chromium)",
  async () => {
    await using dev = await startDev();
    await using browser = await chromium.launch({ executablePath, args });
    const problems: string[] = [];
    const pages = await Promise.all(
      [0, 1].map(async () => {
        const context = await browser.newContext({ viewport: { width: 1300, height: 760 } });
        const page = await context.newPage();
        page.setDefaultTimeout(30_000);
        page.on("pageerror", (error) => problems.push(error.message));
        return page;
      }),
    );
    const [a, b] = pages as [Page, Page];
    for (const page of pages) {
      await page.goto(dev.link);
      await page.getByTestId("album-link").nth(3).waitFor();
      expect(page.url()).not.toContain("token");
      await openFolder(page, "Alps");
    }

    const live = await rename(a, 3, "Aaa live.jpg");
    await rowOf(b, live, "Aaa live.jpg").waitFor();

    await setOffline(b);
    await b.locator("[data-testid=sync-status][data-connection=offline]").waitFor();
    const late = await rename(b, 1, "Aab late.jpg");
    await rowOf(b, late, "Aab late.jpg").waitFor();
    await b.locator('[data-testid=sync-status][data-pending="1"]').waitFor();
    const meanwhile = await rename(a, 2, "Aac meanwhile.jpg");
    await setOffline(b);
    await rowOf(a, late, "Aab late.jpg").waitFor();
    await rowOf(b, meanwhile, "Aac meanwhile.jpg").waitFor();

    await openFolder(a, "Archive");
    await a.getByTestId("file-row").filter({ hasText: "Camera roll" }).dblclick();
    await a.locator('[data-testid=file-table][data-count="4800"]').waitFor();
    expect(await a.getByTestId("file-row").count()).toBeLessThan(60);
    await b.reload();
    await b.getByTestId("album-link").nth(3).waitFor();
    expect(problems).toEqual([]);
  },
  120_000,
);
