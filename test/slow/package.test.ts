/**
 * The package as a stranger gets it: packed, unpacked into the `node_modules` of another folder, and
 * used from there on each runtime by people who have never seen this repository.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { version } from "../../package.json";
import { createId } from "../../src/base/id.ts";
import { clientParts, sizeOf } from "../support/client-size.ts";
import { entries, filesOfEntries, packForStranger } from "../support/package.ts";
import type { Stranger } from "../support/package.ts";
import { denoPath, fileStorage, sqldStorage, startWorkerd } from "../support/runtimes.ts";
import { SECRET, tokenFor } from "../support/world.ts";

const node = Bun.which("node") ?? "";
const bin = "node_modules/syncline/bin/syncline.js";
const settings = { PORT: "0", SYNCLINE_SECRET: SECRET, LOG_LEVEL: "error" };
let stranger: Stranger;

beforeAll(async () => {
  stranger = await packForStranger();
}, 60_000);
afterAll(() => stranger.remove());

async function openNotes(url: string) {
  const authorization = `Bearer ${await tokenFor([{ library: "*", role: "owner" }])}`;
  const send = async (path: string, body: object) => {
    const headers = { authorization, "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`${url}/v1/libraries${path}`, init);
    expect(response.status).toBeLessThan(300);
    return (await response.json()) as { id: string };
  };
  const { id } = await send("", { name: "notes" });
  const add = (title: string) =>
    send(`/${id}/resources/note/commit`, {
      operation: "insert",
      id: createId(),
      data: { title },
    });
  return { argv: [url, id, authorization.slice("Bearer ".length)], add };
}

test("holds what runs and what describes it, and nothing else", () => {
  const missing = [...filesOfEntries, bin.slice("node_modules/syncline/".length)]
    .concat("migrations/0000_core.sql", "migrations/meta/_journal.json", "README.md", "LICENSE")
    .filter((path) => !stranger.files.includes(path));
  expect(missing).toEqual([]);
  const known =
    /^(bin|dist\/plugins|dist\/src|examples\/notes|migrations|plugins|src)\/|^(DECISIONS\.md|LICENSE|README\.md|llms\.txt|package\.json)$/;
  expect(stranger.files.filter((path) => !known.test(path))).toEqual([]);
});

test("Node loads every entry but the Worker's", async () => {
  const names = entries.filter((entry) => entry !== "syncline/worker");
  const script = names.map((name) => `await import("${name}");`).join("");
  const { code, said } = await stranger.run([node, "--input-type=module", "--eval", script]);
  expect(said).toBe("");
  expect(code).toBe(0);
});

test.each(["bun", "deno"])(
  "Node, which may load syncline/%s, is told where it serves instead",
  async (name) => {
    const script = `import { serve } from "syncline/${name}"; await serve({ mode: "production", env: {} });`;
    const { code, said } = await stranger.run([node, "--input-type=module", "--eval", script]);
    expect(said).toContain("the service runs on Bun (the command line, or syncline/bun)");
    expect(code).toBe(1);
  },
);

test("an application that it makes brings it along", async () => {
  const bun = process.execPath;
  const { said } = await stranger.run([bun, bin, "new", "made"]);
  expect(said).toContain("Made made.");
  const manifest = (await Bun.file(join(stranger.folder, "made/package.json")).json()) as {
    dependencies: { syncline: string };
  };
  const made = (name: string) => Bun.file(join(stranger.folder, "made", name)).text();
  expect(await made(".env")).toMatch(/^APP_PASSWORD=\S{16}\n$/);
  expect(await made(".gitignore")).toContain(".env");
  // Two of them must not share what a browser keeps.
  const libraryOf = (text: string) => /library = "(.{36})"/.exec(text)?.[1];
  const template = libraryOf(await Bun.file("examples/notes/users.ts").text());
  expect([template, undefined]).not.toContain(libraryOf(await made("users.ts")));
  const tarball = manifest.dependencies.syncline.replace("file:", "made/");
  const { said: list } = await stranger.run(["tar", "tzf", tarball]);
  expect(list.match(/^package\/.*/gm)?.toSorted()).toEqual(
    stranger.files.map((path) => `package/${path}`).toSorted(),
  );
});

test("the command line finds its Bun from Node, and passes on how it ends", async () => {
  const storage = await fileStorage();
  const service = stranger.start([node, bin, "start"], { ...settings, ...storage.env });
  const [, url = ""] = await service.until(/listens at (\S+)/);
  const { argv, add } = await openNotes(url);
  await add("milk");
  const page = await stranger.run([node, "render.js", ...argv]);
  expect(page.said).toContain("<li>milk</li>");
  service.kill("SIGTERM");
  expect(await service.exited).toBe(0);
  const misspelled = await stranger.run([node, bin, "strat"]);
  expect(misspelled).toEqual({ code: 2, said: expect.stringContaining("unknown command") });
  await storage.remove();
});

test("the command line says what to install where there is no Bun, and finds the one installed there", async () => {
  const nowhere = { PATH: "/nowhere" };
  expect(await stranger.run([node, bin, "dev"], nowhere)).toEqual({
    code: 1,
    said: "error: the command line runs on Bun, which is not here: npm install bun\n",
  });
  const programs = join(stranger.folder, "node_modules/.bin");
  await mkdir(programs);
  await symlink(process.execPath, join(programs, "bun"));
  expect(await stranger.run([node, bin, "--version"], nowhere)).toEqual({
    code: 0,
    said: `syncline ${version}\n`,
  });
});

test("Deno serves the plugin of the folder, dies, and Node follows on when it is back", async () => {
  const storage = await fileStorage();
  const serve = (port: string) =>
    stranger.start([denoPath(), "run", "-A", "deno.ts"], {
      ...settings,
      ...storage.env,
      PORT: port,
    });
  const first = serve("0");
  const [, url = ""] = await first.until(/listens at (\S+)/);
  const { argv, add } = await openNotes(url);
  await add("bread");
  const follower = stranger.start([node, "follow.js", ...argv], {});
  await follower.until(/^bread$/m);
  first.kill("SIGKILL");
  await first.exited;
  const second = serve(new URL(url).port);
  await second.until(/listens at/);
  await add("milk");
  await follower.until(/^bread milk$/m);
  follower.kill("SIGTERM");
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
  await storage.remove();
}, 30_000);

test("Deno that may not look for the plugins of the folder says so, instead of serving others", async () => {
  const flags = ["--no-prompt", "--allow-net", "--allow-env"];
  const env = { SYNCLINE_SECRET: SECRET, DATABASE_URL: "http://127.0.0.1:1/{database}" };
  const { code, said } = await stranger.run([denoPath(), "run", ...flags, "deno.ts"], env);
  expect(said).toContain("syncline.config.ts cannot be read: Requires read access");
  expect(code).toBe(1);
});

test("a Worker of one's own serves a plugin of one's own", async () => {
  const storage = await sqldStorage("byPath");
  const workerd = await startWorkerd(storage, { entry: join(stranger.folder, "worker.ts") });
  const { argv, add } = await openNotes(workerd.url);
  await add("milk");
  expect((await stranger.run([node, "render.js", ...argv])).said).toContain("<li>milk</li>");
  await workerd.stop();
}, 30_000);

test.each(["bundler", "nodenext"])(
  "with module resolution %p its types say what the plugin says, and have names that others can write",
  async (moduleResolution) => {
    const compilerOptions = {
      target: "ES2024",
      lib: ["ES2024", "DOM", "DOM.Iterable"],
      module: moduleResolution === "bundler" ? "ESNext" : "NodeNext",
      moduleResolution,
      types: [],
      strict: true,
      allowImportingTsExtensions: true,
      declaration: true,
      emitDeclarationOnly: true,
      outDir: "declared",
      skipLibCheck: false,
    };
    const config = JSON.stringify({
      compilerOptions,
      files: ["registry.ts", "client.ts", "hooks.ts", "collection.ts"],
    });
    await Bun.write(join(stranger.folder, "tsconfig.json"), config);
    const { said } = await stranger.run([resolve("node_modules/.bin/tsc"), "--pretty", "false"]);
    const places = said.match(/^\S.*?(?=\(\d+,\d+\): error)/gm) ?? [];
    // Those of others are not for us to mend.
    const others = resolve("node_modules");
    const isOurs = (place: string) => !resolve(stranger.folder, place).startsWith(others);
    expect(places.filter(isOurs)).toEqual([]);
  },
);

test.each(clientParts)("$name: built, it weighs what its sources weigh", async (part) => {
  const built = join(stranger.folder, "node_modules/syncline/dist/src/client");
  const weight = await sizeOf(part, resolve("src/client"), "ts");
  expect(Math.abs((await sizeOf(part, built)) - weight)).toBeLessThan(weight / 200);
});
