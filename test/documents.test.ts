import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

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

test("llms.txt names every entry of the package, with its source", async () => {
  const text = await Bun.file("llms.txt").text();
  const { exports } = (await Bun.file("package.json").json()) as {
    exports: Record<string, string>;
  };
  const missing = Object.entries(exports).filter(
    ([entry, source]) =>
      !text.includes(`\`syncline${entry.slice(1)}\` ([source](${source.slice(2)})`),
  );
  expect(missing).toEqual([]);
});

test("llms.txt names every command of the command line", async () => {
  const [, list = ""] =
    /lists the commands: ([^.]*)\./.exec(await Bun.file("llms.txt").text()) ?? [];
  const { createProgram } = await import("../src/tools/program.ts");
  const known = createProgram().commands.map((command) => command.name());
  const named = [...list.matchAll(/`([\w-]+)`/g)].map(([, name = ""]) => name);
  expect(named.toSorted()).toEqual(known.toSorted());
});
