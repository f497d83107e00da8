import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Plugin } from "../src/resource/define.ts";
import { createId } from "../src/base/id.ts";
import { startCli } from "./support/cli-process.ts";
import { createWorld } from "./support/world.ts";

const documents = [
  "llms.txt",
  ...[...new Bun.Glob("**/*.md").scanSync(".")].filter((file) => !file.includes("node_modules")),
];

/** What a document links to inside the repository. */
async function linksOf(document: string): Promise<string[]> {
  const text = await Bun.file(document).text();
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => !/^(?:https?:|#)/.test(target));
}

test("every file that a document links to exists", async () => {
  const broken: string[] = [];
  let count = 0;
  for (const document of documents) {
    for (const target of await linksOf(document)) {
      count += 1;
      if (!existsSync(join(dirname(document), target))) broken.push(`${document}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
  expect(count).toBeGreaterThan(10);
});

test("the unit starts the Bun that its instructions install: production dependencies bring none", async () => {
  const unit = await Bun.file("deploy/syncline.service").text();
  const [, prefix] = /^ExecStart=(\S+)\/node_modules\/\.bin\/bun /m.exec(unit) ?? [];
  const { dependencies, devDependencies } = (await Bun.file("package.json").json()) as Record<
    string,
    Record<string, string>
  >;
  expect(dependencies?.["bun"]).toBeUndefined();
  const install = `npm install --prefix ${prefix} bun@${devDependencies?.["bun"]}\``;
  expect(await Bun.file("deploy/README.md").text()).toContain(install);
});

/** The sources behind the entries of the package. */
async function sourcesOfEntries(): Promise<Record<string, string>> {
  const { exports } = (await Bun.file("package.json").json()) as {
    exports: Record<string, { readonly bun: string }>;
  };
  return Object.fromEntries(
    Object.entries(exports).map(([entry, { bun }]) => [`syncline${entry.slice(1)}`, bun]),
  );
}

test("llms.txt names every entry of the package, with its source", async () => {
  const text = await Bun.file("llms.txt").text();
  const missing = Object.entries(await sourcesOfEntries()).filter(
    ([entry, source]) => !text.includes(`\`${entry}\` ([source](${source.slice(2)})`),
  );
  expect(missing).toEqual([]);
});

test("in a clone, where nothing is built, a plugin finds the sources on Deno too", async () => {
  const { imports } = (await Bun.file("deno.json").json()) as { imports: Record<string, string> };
  expect(imports).toEqual(await sourcesOfEntries());
});

test("llms.txt names every command of the command line", async () => {
  const [, list = ""] =
    /lists the commands: ([^.]*)\./.exec(await Bun.file("llms.txt").text()) ?? [];
  const { createProgram } = await import("../src/tools/program.ts");
  const known = createProgram().commands.map((command) => command.name());
  const named = [...list.matchAll(/`([\w-]+)`/g)].map(([, name = ""]) => name);
  expect(named.toSorted()).toEqual(known.toSorted());
});

/** The files that the README shows under their names. */
async function filesOfReadme(): Promise<Map<string, string>> {
  const text = await Bun.file("README.md").text();
  const shown = text.matchAll(/\n`([\w.]+\.tsx?)`[^`]*```tsx?\n([\s\S]*?)```/g);
  return new Map([...shown].map(([, name = "", code = ""]) => [name, code]));
}

test("the README shows the application that `syncline new` makes, as it is", async () => {
  const shown = await filesOfReadme();
  expect([...shown.keys()]).toEqual(["syncline.config.ts", "rules.ts", "main.tsx", "routes.ts"]);
  for (const [name, code] of shown) {
    const file = await Bun.file(`examples/notes/${name}`).text();
    // Of the page its longest parts, between which it leaves something out.
    for (const part of code.split(/\n\n(?=function )/)) expect(file).toContain(part.trim());
  }
});

test("its plugin and the example of plugins/README.md are what the compiler accepts, and run", async () => {
  const folder = resolve(`.cache/readme-${createId()}`);
  await mkdir(folder, { recursive: true });
  try {
    const [, example = ""] =
      /is started:\n\n```ts\n([\s\S]*?)```/.exec(await Bun.file("plugins/README.md").text()) ?? [];
    await Bun.write(join(folder, "example.ts"), example);
    const config = { extends: "../../tsconfig.json", include: ["."] };
    await Bun.write(join(folder, "tsconfig.json"), JSON.stringify(config));
    const compiler = Bun.spawnSync([resolve("node_modules/.bin/tsc"), "-p", folder]);
    expect(compiler.stdout.toString()).toBe("");
    for (const [path, query] of [
      [resolve("examples/notes/syncline.config.ts"), "note.list"],
      [join(folder, "example.ts"), "note.open"],
    ]) {
      const { plugins } = (await import(path ?? "")) as { plugins: Plugin[] };
      await using world = await createWorld({ plugins });
      const id = createId();
      const change = { operation: "insert", id, data: { title: "milk" } };
      await world.send("POST", `${world.at}/resources/note/commit`, change);
      const answer = await world.send("POST", `${world.at}/query/${query}`, { input: {} });
      expect(answer.body.data).toEqual([id]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("its routes let in who has the password, and nobody where none is set", async () => {
  const folder = resolve(`.cache/readme-${createId()}`);
  await cp("examples/notes", folder, { recursive: true });
  await Bun.write(join(folder, "dist/index.html"), "<p>the page</p>");
  const start = (password: string) =>
    startCli(["start"], { env: { PORT: "0", APP_PASSWORD: password }, folder });
  await expect(start("too short")).rejects.toThrow("did not start");
  const service = await start("open sesame!");
  try {
    const ask = async (password?: string, cookie = "") => {
      const body = new FormData();
      if (password !== undefined) body.set("password", password);
      return fetch(`${service.url}/session`, { method: "POST", body, headers: { cookie } });
    };
    for (const refused of [ask(), ask("open sesame?"), ask(undefined, "user=somebody.forged")])
      expect((await refused).status).toBe(401);
    expect((await ask("x".repeat(10_000))).status).toBe(413);
    const cookie = (await ask("open sesame!")).headers.get("set-cookie") ?? "";
    expect(cookie).toEndWith("; HttpOnly; Secure; SameSite=Strict");
    const answer = await ask(undefined, cookie.split(";")[0]);
    const { library, token } = (await answer.json()) as Record<string, string>;
    const read = async (path?: string) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${service.url}/v1/libraries/${path}`, { headers })).status;
    };
    expect(await read(library)).toBe(200);
    expect(await read(createId())).toBe(403);
    expect(await (await fetch(service.url)).text()).toBe("<p>the page</p>");
    expect((await fetch(`${service.url}/..%2f.env`)).status).toBe(404);
  } finally {
    service.kill("SIGTERM");
    expect(await service.exited).toBe(0);
    await rm(folder, { recursive: true });
  }
});
