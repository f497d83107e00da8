import { expect, test } from "bun:test";
import { createWorld } from "../support/world.ts";
import { serveCommands } from "./command.ts";

test("library create, run again, says that the library is there and prints its id", async () => {
  await using world = await createWorld();
  await using commands = serveCommands(world);
  const create = (name: string) => commands.run("library", "create", name);
  const first = await create("notes");
  const second = await create("notes");
  expect(first).toMatchObject({ stderr: "", code: 0 });
  expect(second).toMatchObject({ stdout: first.stdout, code: 0 });
  expect(second.stderr).toBe(
    "A library is called notes already: nothing was created, this is its id.\n",
  );
  const { body } = await world.send("GET", "/v1/libraries");
  expect(body.libraries).toHaveLength(2);

  // Two of that name were made over HTTP, where names are nobody's keys: which one is meant is asked.
  await world.send("POST", "/v1/libraries", { name: "notes" });
  const third = await create("notes");
  expect(third).toMatchObject({ stdout: "", code: 1 });
  expect(third.stderr).toContain("Several libraries are called notes");
});
