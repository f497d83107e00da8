import { expect, test } from "bun:test";
import { createWorld } from "../support/world.ts";

test("the OpenAPI document names every route, and each type's own fields in wire names", async () => {
  await using world = await createWorld();
  const { body } = await world.send("GET", "/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  expect(Object.keys(body.components.schemas.file.properties)).toContain("parent_id");
  expect(body.components.schemas.tag.required).toEqual(["name"]);
  for (const { path, method } of world.app.routes) {
    if (method === "ALL" || path.includes("/resources/:type/")) continue;
    expect(body.paths[path.replace(/:(\w+)/g, "{$1}")]).toHaveProperty(method.toLowerCase());
  }
  const page = await world.app.request("/docs");
  expect(await page.text()).toContain("Commit one change");
});
