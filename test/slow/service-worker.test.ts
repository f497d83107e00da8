/**
 * The service worker of the demonstration in a real browser: what it keeps is the page, not what
 * somebody else answers in its place.
 */
import { expect } from "bun:test";
import { openBrowserTests } from "../support/chromium.ts";

const story = await openBrowserTests();

story(
  "C11: the page of a hotel's portal does not replace the one that is kept",
  async (browser) => {
    const network = { isPortal: false };
    const html = (text: string, script: string) =>
      new Response(`<!doctype html><title>${text}</title>${script}`, {
        headers: { "content-type": "text/html" },
      });
    const server = Bun.serve({
      port: 0,
      fetch: (request) => {
        const { pathname } = new URL(request.url);
        const isPage = pathname === "/";
        if (network.isPortal) return html("Welcome to the hotel", "");
        if (isPage) return html("Photos", `<script src="/assets/app-1.js"></script>`);
        if (pathname !== "/sw.js") return new Response("globalThis.isLoaded = true;");
        return new Response(Bun.file("examples/notes/public/sw.js"));
      },
    });
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.url.href);
    await page.evaluate(async () => {
      await navigator.serviceWorker.register("/sw.js");
      await navigator.serviceWorker.ready;
    });
    await page.reload();
    network.isPortal = true;
    await page.reload();
    expect(await page.title()).toBe("Welcome to the hotel");
    await server.stop(true);
    await page.reload();
    expect(await page.title()).toBe("Photos");
    expect(await page.evaluate(() => "isLoaded" in globalThis)).toBe(true);
    await context.close();
  },
);
