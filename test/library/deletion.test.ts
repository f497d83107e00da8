import { expect, test } from "bun:test";
import { createCluster } from "../support/cluster.ts";

test("a library deleted on one node is closed on the others: streams are told, requests get 404", async () => {
  await using cluster = await createCluster();
  const [a, b] = cluster.nodes;
  const stream = await b.ask(`${cluster.at}/events?encoding=json`);
  const text = stream.text();
  expect((await a.send("DELETE", cluster.at)).status).toBe(204);
  const [, ending = ""] = (await text).split("event: LibraryClosed");
  expect(ending).toContain("event: goodbye");
  expect((await b.send("GET", cluster.at)).status).toBe(404);
  expect(b.service.catalog.openCount).toBe(0);
});
