import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { serve } from "../../src/runtime/bun.ts";
import { toUrl } from "../../src/runtime/process.ts";
import { mintToken } from "../../src/auth/token.ts";
import { systemClock } from "../../src/base/clock.ts";
import { SECRET } from "../support/world.ts";

/** A folder of its own, and what a service is told to lie there. */
async function createPlace() {
  const folder = await mkdtemp(join(tmpdir(), "syncline-"));
  return {
    folder,
    start: (env: Readonly<Record<string, string>>) =>
      serve({
        mode: "production",
        env: { PORT: "0", LOG_LEVEL: "error", SYNCLINE_SECRET: SECRET, ...env },
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test("a data folder that cannot be made ends the start with a sentence that names it", async () => {
  await using place = await createPlace();
  await writeFile(join(place.folder, "file"), "");
  const DATABASE_URL = `file:${place.folder}/file/{database}.db`;
  const sentence = `The data folder ${place.folder}/file cannot be used (`;
  await expect(place.start({ DATABASE_URL })).rejects.toThrow(sentence);
});

test("a catalog that is damaged ends the start with a sentence that names DATABASE_URL", async () => {
  await using place = await createPlace();
  await writeFile(join(place.folder, "catalog.db"), "no database ".repeat(1_000));
  const DATABASE_URL = `file:${place.folder}/{database}.db`;
  const sentence = `DATABASE_URL is "${DATABASE_URL}": The file of the library's database is damaged`;
  await expect(place.start({ DATABASE_URL })).rejects.toThrow(sentence);
});

test("a node.json without a secret ends the start with a sentence that names it", async () => {
  await using place = await createPlace();
  const path = join(place.folder, "node.json");
  const DATABASE_URL = `file:${place.folder}/{database}.db`;
  for (const text of ["", "{}", '{"device_id":"node"}']) {
    await writeFile(path, text);
    const sentence = `${path} does not hold this node's id and secret: `;
    await expect(place.start({ DATABASE_URL })).rejects.toThrow(sentence);
  }
});

test("a start that fails half-way ends the process", async () => {
  await using place = await createPlace();
  const DATABASE_URL = `file:${place.folder}/{database}.db`;
  await (await place.start({ DATABASE_URL })).stop();
  const catalog = new Database(join(place.folder, "catalog.db"));
  catalog.run("DROP TABLE revocations");
  catalog.close();
  const command = [process.execPath, "src/tools/cli.ts", "start"];
  const env = { ...process.env, PORT: "0", DATABASE_URL };
  const child = Bun.spawn(command, { env, stdout: "ignore", stderr: "ignore" });
  expect(await child.exited).toBe(1);
});

test("an address that is not of this machine ends the start with a sentence that names HOST", async () => {
  await using place = await createPlace();
  const DATABASE_URL = `file:${place.folder}/{database}.db`;
  // Of a block that is kept for documentation (RFC 5737).
  const started = place.start({ DATABASE_URL, HOST: "203.0.113.7" });
  await expect(started).rejects.toThrow('HOST is "203.0.113.7", but must be: an address of');
});

test("an address of IPv6 is said as a URL that can be asked", () => {
  expect(toUrl("::1", 8787)).toBe("http://[::1]:8787");
  expect(toUrl("127.0.0.1", 8787)).toBe("http://127.0.0.1:8787");
});

test("a URL without {database} holds one library: a second is refused, and the catalog stays", async () => {
  await using place = await createPlace();
  const running = await place.start({ DATABASE_URL: `file:${place.folder}/only.db` });
  const grants = [{ library: "*", role: "owner" as const }];
  const token = await mintToken({
    secret: SECRET,
    subject: "tester",
    grants,
    ttlSeconds: 60,
    clock: systemClock,
  });
  const send = async (method: string, path: string, body?: object) => {
    const response = await fetch(running.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  };
  const [first, second] = [createId(), createId()];
  const create = (id: string) => send("POST", "/v1/libraries", { id, name: id });
  expect((await create(first)).status).toBe(201);
  const refused = await create(second);
  expect([refused.status, refused.text.includes("DATABASE_URL")]).toEqual([409, true]);
  const { text } = await send("GET", "/v1/libraries");
  expect([text.includes(first), text.includes(second)]).toEqual([true, false]);
  const album = { resource_type: "album", operation: "insert", data: { name: "a" } };
  const commit = { ...album, id: createId() };
  expect((await send("POST", `/v1/libraries/${first}/commit`, commit)).status).toBe(200);
  expect((await send("DELETE", `/v1/libraries/${first}`)).status).toBe(204);
  await running.stop();
  expect(await readdir(place.folder)).toContain("only.db");
});
