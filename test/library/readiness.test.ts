import { expect, test } from "bun:test";
import type { Database } from "../../src/store/database.ts";
import { createWorld } from "../support/world.ts";

test("a library whose database answers reads but no writes makes the node unready, by name", async () => {
  let isWedged = false;
  const decorate = (name: string, database: Database): Database => ({
    ...database,
    write: (statements) =>
      isWedged && name !== "catalog" ? new Promise(() => {}) : database.write(statements),
  });
  // Long enough that a busy machine does not lose it first: who leads nothing writes nothing.
  await using world = await createWorld({ decorate, leaseMs: 900 });
  expect((await world.send("GET", "/readyz")).status).toBe(200);
  isWedged = true;
  let answer = await world.send("GET", "/readyz");
  while (answer.status === 200) {
    await Bun.sleep(5);
    answer = await world.send("GET", "/readyz");
  }
  isWedged = false;
  expect(answer.body).toMatchObject({ code: "database_unavailable", retry: "later" });
  expect(answer.body.detail).toContain(world.library.state.id);
});
