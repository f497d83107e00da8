import { expect, test } from "bun:test";
import { createInspector } from "../../src/tools/inspector/pages.ts";

test("the inspector is one page without inline script, under a policy that allows none", async () => {
  const pages = createInspector();
  const get = (path: string) => pages(new Request(`http://node${path}`));
  const page = await get("/inspector");
  const html = (await page?.text()) ?? "";
  const policy = page?.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("script-src 'self'; style-src 'self'; connect-src 'self'");
  expect(policy).not.toContain("unsafe");
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=|style=/);
  for (const [, path = ""] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
    const asset = await get(path);
    expect([path, asset?.status]).toEqual([path, 200]);
  }
  const script = await (await get("/inspector/page.js"))?.text();
  expect(script).toContain("delivery_lag_seconds");
  expect(get("/inspector/../src/service.ts")).toBeNull();
  expect(get("/v1/libraries")).toBeNull();
});
