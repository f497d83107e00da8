import { expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";

const storeys = [
  "base",
  "telemetry",
  "protocol",
  "resource",
  "store",
  "log",
  "lease",
  "commit",
  "stream",
  "follower",
  "auth",
  "library",
  "service.ts",
  "http",
  "runtime",
  "client",
  "tools",
];
/** What runs at the client knows the wire, not the service; `import type` from resource is no import. */
const clientMayImport = new Set(["base", "protocol", "client"]);
const transpiler = new Bun.Transpiler({ loader: "ts" });
const sources = [...new Bun.Glob("**/*.{ts,tsx}").scanSync("src")].filter(
  (file) => !file.endsWith(".d.ts"),
);

function storeyOf(file: string): number {
  const [folder = ""] = file.split("/");
  return storeys.indexOf(folder);
}

function mayImport(file: string, target: string): boolean {
  if (file.startsWith("client/")) return clientMayImport.has(target.split("/")[0] ?? "");
  if (target.startsWith("client/")) return file.startsWith("tools/");
  return storeyOf(target) !== -1 && storeyOf(target) <= storeyOf(file);
}

async function importsOf(file: string): Promise<string[]> {
  const text = (await Bun.file(`src/${file}`).text()).replace(/^#!.*/, "");
  return transpiler.scanImports(text).map(({ path }) => path);
}

test("imports point down: a folder knows only the folders before it", async () => {
  const wrong: string[] = [];
  for (const file of sources) {
    for (const path of await importsOf(file)) {
      if (!path.startsWith(".")) continue;
      const target = normalize(join(dirname(file), path));
      if (target.startsWith("..") || file === "index.ts") continue;
      if (!mayImport(file, target)) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("no import leads back to where it began, not even a type's", async () => {
  const targets = new Map<string, string[]>();
  for (const file of sources) {
    const text = await Bun.file(`src/${file}`).text();
    const paths = [...text.matchAll(/from "(\.[^"]+)"/g)].map(([, path = ""]) => path);
    targets.set(
      file,
      paths.map((path) => normalize(join(dirname(file), path))),
    );
  }
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at >= 0) circles.push([...way.slice(at), file].join(" → "));
    if (done.has(file)) return;
    done.add(file);
    for (const target of targets.get(file) ?? []) visit(target, [...way, file]);
  };
  for (const file of sources) visit(file, []);
  expect(circles).toEqual([]);
});

test("only runtime and tools touch a runtime", async () => {
  const wrong: string[] = [];
  for (const file of sources) {
    if (/^(runtime|tools)\//.test(file)) continue;
    const text = await Bun.file(`src/${file}`).text();
    if (/\b(Bun|Deno|process)\.[a-z]+|from "node:/.test(text)) wrong.push(file);
    if ((await importsOf(file)).includes("@libsql/client"))
      wrong.push(`${file}: the native client`);
  }
  expect(wrong).toEqual([]);
});

test("plugins know each other by name only", async () => {
  const wrong: string[] = [];
  for (const file of new Bun.Glob("*.ts").scanSync("plugins")) {
    if (file === "index.ts") continue;
    const text = await Bun.file(`plugins/${file}`).text();
    for (const { path } of transpiler.scanImports(text)) {
      const mayImport = ["../src/index.ts", "./page.ts", `./rules/${file}`];
      if (path.startsWith(".") && !mayImport.includes(path)) wrong.push(`${file} imports ${path}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("rules load nothing but rules, so that a browser can hold them", async () => {
  const wrong: string[] = [];
  for (const file of new Bun.Glob("*.ts").scanSync("plugins/rules")) {
    const text = await Bun.file(`plugins/rules/${file}`).text();
    for (const { path } of transpiler.scanImports(text)) {
      const isOwn = path === "./link.ts" || (file === "index.ts" && path.startsWith("./"));
      if (!isOwn && path !== "../../src/resource/rules.ts" && path !== "uuid")
        wrong.push(`${file} imports ${path}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("no file is longer than 400 lines", async () => {
  const wrong: string[] = [];
  for (const file of new Bun.Glob("{src,plugins,test}/**/*.{ts,tsx}").scanSync(".")) {
    const lines = (await Bun.file(file).text()).split("\n").length;
    if (lines > 400) wrong.push(`${file}: ${lines}`);
  }
  expect(wrong).toEqual([]);
});

test("TM-12: entries are written and events published in their own places alone", async () => {
  const places: Readonly<Record<string, readonly string[]>> = {
    "appendEntries(": ["commit/", "log/"],
    "hub.publish(": ["stream/", "library/leadership.ts"],
  };
  const wrong: string[] = [];
  for (const [call, allowed] of Object.entries(places)) {
    for (const file of sources) {
      if (!(await Bun.file(`src/${file}`).text()).includes(call)) continue;
      if (!allowed.some((place) => file.startsWith(place))) wrong.push(`${file} calls ${call}`);
    }
  }
  expect(wrong).toEqual([]);
});
